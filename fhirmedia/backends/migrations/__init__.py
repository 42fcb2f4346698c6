"""The schema of records.db and its history, by Alembic; `versions/` holds one step per file."""

import sqlite3
from pathlib import Path

SCHEMA_VERSION = "9"
"""What VERSION of a folder must say; raised with every migration."""

STEPS = Path(__file__).parent
"""Where the steps are, and Alembic's entry."""


def make_schema(connection: sqlite3.Connection, *, steps: Path = STEPS, version: str = SCHEMA_VERSION) -> None:
    """Bring an empty or older database to the newest schema, in one transaction."""
    # Imported where they are needed: they are half of what a start would otherwise wait for.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool, hide_parameters=True)
    config = Config()
    config.set_main_option("script_location", str(steps))
    with engine.connect() as bound, bound.begin():
        bound.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins nothing by itself
        config.attributes["connection"] = bound
        command.upgrade(config, "head")
        bound.exec_driver_sql(f"PRAGMA user_version={int(version)}")
