"""Who asks and what they may touch: scopes, Caller, Grant. Pure: no I/O, no clock, no HTTP."""
