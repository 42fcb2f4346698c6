"""The one door to the stores: policy, audit and transaction around every read, search, write and byte.

A Session is one Caller with one intent. It narrows what is asked, checks what is found, notes what was touched, and
makes that note durable before it lets the answer go.
"""
