"""An index beside the database follows the records: never ahead of them, and never in their way.

A change writes a row into the outbox, in its own transaction, as soon as something follows (`outbox_rows`). Workers
claim rows, read the records as they are now and hand them to the engine as documents (`outbox_work`, `worker`); what an
engine refuses for itself becomes a dead letter. A generation is one filling of the engine; which of them answers, which
are being filled and which are kept is said in the records' own database (`generations`), so that one transaction
switches every process. The keeper fills what is missing (`filling`, `keeping`). Searches go to the engine that is right
for them (`choosing`, `routing`); while the index is away, behind or spoilt, the database answers.
"""
