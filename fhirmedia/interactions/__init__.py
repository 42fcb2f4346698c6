"""Use cases, named as FHIR names its interactions: pure orchestration of one Session each, no HTTP and no SQL."""
