"""FHIR R4, pure: what resources look like, what they say, and what a search asks.

In: JSON is read strictly (`json_in`), judged by the element tables (`checker`, `model`) and kept as sent (`codec`).
Meaning: `registry` says what is served; `extract` and `facts` turn a body into search values and access facts.
Search: `query_parser` turns pairs into a `query` tree; `evaluator` is the reference for what the tree means.
Out: `bundles`, `outcome`, `summary`, `capability`.

Nothing here performs I/O beyond reading `profiles/` once, and nothing knows HTTP or a store.
"""
