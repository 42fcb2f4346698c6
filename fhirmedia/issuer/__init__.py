"""Who may vouch for a Caller: trusted issuers and their keys, tokens checked and minted.

A token is read by `token_form` (its outer form), verified by `jose` (the one home of python-jose) and turned into a
Caller by `trusted` and `claims` (whose word counts for what). `rows` reads the operator's list of issuers, `jwks` holds
their keys, `check_results` names the checks, `minting` makes tokens for a demo folder.
"""
