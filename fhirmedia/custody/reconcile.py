"""Reconciliation: whether bytes, records, facts and index agree, version by version and in constant memory."""

import hashlib
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

from fhirmedia.core.clock import instant
from fhirmedia.core.digests import Digest, sha256_hex
from fhirmedia.core.errors import Failure
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.custody.binaries import BINARY
from fhirmedia.custody.hindsight import Hindsight
from fhirmedia.ports.maintenance import Finding, Inspection, Part, Stored
from fhirmedia.ports.objects import ObjectStore
from fhirmedia.ports.records import Blob
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.facts import facts_of
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.registry import Registry
from fhirmedia.r4.values import IndexEntries
