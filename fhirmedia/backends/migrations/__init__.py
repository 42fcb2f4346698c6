"""The schema of records.db and its history, by Alembic; `versions/` holds one step per file."""

import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

SCHEMA_VERSION = "1"
"""What VERSION of a folder must say; raised with every migration."""


def make_schema(connection: sqlite3.Connection) -> None:
    """Bring an empty or older database to the newest schema."""
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool, hide_parameters=True)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.connect() as bound:
        config.attributes["connection"] = bound
        command.upgrade(config, "head")
    connection.execute(f"PRAGMA user_version={int(SCHEMA_VERSION)}")
