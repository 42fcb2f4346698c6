"""`fhirmedia check`: whether bytes, records, facts and index agree; puts right what can be made from what is there."""

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, field
from zoneinfo import ZoneInfo

from fhirmedia.app import base_url_of
from fhirmedia.backends.folder import Folder
from fhirmedia.backends.inspection_sql import SqliteInspection
from fhirmedia.backends.objects_files import FileObjectStore
from fhirmedia.cli.opening import add_json, add_served_port, existing_folder
from fhirmedia.cli.options import add_data
from fhirmedia.cli.progress import Progress
from fhirmedia.cli.repairing import Repairing
from fhirmedia.core.settings import Settings
from fhirmedia.custody.reconcile import Correction, Judged, Reconciliation, judge_bytes, judge_leftovers
from fhirmedia.ports.maintenance import Finding
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.registry import load_registry
