"""The page at `/docs`: the API as a person reads it, made from the same facts as the OpenAPI document."""
