"""Technology behind the ports: SQL for records, disclosures and the search index; files for bytes."""
