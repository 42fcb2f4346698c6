"""The bytes of media, looked at but never run: what format they are and how they may be shown. Pure."""
