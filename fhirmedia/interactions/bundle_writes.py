"""Entries of a transaction that write: seen to be sound, their links understood, made into proposals (R4, http).

Everything wrong with all of them is told at once.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from fhirmedia.core.breath import Breath
from fhirmedia.core.errors import Category, Failure, Issue
from fhirmedia.core.ids import FHIR_ID, new_id
from fhirmedia.core.records import Key
from fhirmedia.custody.binaries import BINARY
from fhirmedia.custody.proposal import Condition, Proposal, Proposals
from fhirmedia.custody.session import Session
from fhirmedia.interactions.archive import Archive
from fhirmedia.interactions.bundle_findings import Findings
from fhirmedia.interactions.bundle_patches import patch_in
from fhirmedia.interactions.conditional import (
    condition_of,
    key_for,
    patching,
    require_searched,
    require_searching,
    the_match,
)
from fhirmedia.interactions.content import stage
from fhirmedia.interactions.resource_in import holds_content, lift, resource_in
from fhirmedia.interactions.update import require_id
from fhirmedia.r4.bundle_in import BundleEntry
from fhirmedia.r4.bundle_links import BundleLinks
from fhirmedia.r4.fhirpath_patch import PARAMETERS
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.links import relinked
from fhirmedia.r4.query_string import decode_query
from fhirmedia.r4.references import iter_references

STORED_AT_ONCE = 8

_METHODS: dict[str, tuple[str, Literal["create", "update", "delete"]]] = {
    "POST": ("create", "create"),
    "PUT": ("update", "update"),
    "PATCH": ("patch", "update"),
    "DELETE": ("delete", "delete"),
}


class BundleWrites:
    """The writing entries of one transaction; `proposals` makes them ready, `store` stores their content."""

    def __init__(self, archive: Archive, session: Session, findings: Findings) -> None:
        self._archive = archive
        self._session = session
        self._findings = findings
        self._placeholders: dict[str, Key] = {}
        self._references: dict[Key, Condition] = {}
        self._links = BundleLinks(archive.base_url)
        self._breath = Breath()

    async def proposals(self, entries: Sequence[BundleEntry]) -> Proposals:
        """One for each entry, in their order. Raises Failure with everything that is wrong with any of them."""
        aimed = []
        for entry in entries:
            await self._breath.take()
            with self._findings.of(entry.place):
                proposal = self._aim(entry)
                if entry.method == "PATCH" and proposal.condition is not None:
                    proposal = replace(proposal, key=(await the_match(self._session, proposal.condition)).key)
                aimed.append((entry, proposal))
                if proposal.method != "delete":
                    self._links.keys.add(proposal.key)
                    if entry.full_url is not None:
                        self._links.by_url[entry.full_url] = proposal.key
        ready = []
        for entry, proposal in aimed:
            await self._breath.take()
            with self._findings.of(entry.place, proposal.key.type):
                if entry.method == "PATCH":
                    ready.append(await self._patched(entry, proposal))
                else:
                    ready.append(self._with_resource(entry, proposal))
        self._findings.settle()
        return Proposals(tuple(ready), self._references, self._links.versioned)

    async def store(self, proposals: Proposals) -> None:
        """Store the content that stands in the resources, durably. Raises Failure INVALID, TOO_LARGE."""
        turns = asyncio.Semaphore(STORED_AT_ONCE)

        async def one(proposal: Proposal, resource: JsonObject) -> None:
            async with turns:
                with self._findings.of(proposal.place or "", proposal.key.type):
                    if proposal.key.type == BINARY:
                        await stage(self._archive, self._session, resource, proposal.key)
                    else:
                        await lift(self._archive, self._session, resource)

        holding = [(each, each.resource) for each in proposals.each if each.resource is not None]
        await asyncio.gather(*(one(*each) for each in holding if each[0].key.type == BINARY or holds_content(each[1])))
        self._findings.settle()

    def _aim(self, entry: BundleEntry) -> Proposal:
        """What an entry is about, its resource left aside. Raises NOT_FOUND, NOT_ALLOWED, FORBIDDEN, INVALID."""
        place = f"{entry.place}.request.url"
        if not 1 <= len(entry.path) <= 2 or any(step[:1] in "$_" for step in entry.path):
            raise Failure(Category.INVALID, f"This is no address for {entry.method}.", expression=place)
        kind = entry.path[0]
        interaction, method = _METHODS[entry.method]
        self._archive.registry.require(kind, interaction)
        self._session.require(method, kind)
        proposal = Proposal(Key(kind, new_id()), method, expected=entry.expected, place=entry.place)
        if entry.method == "POST":
            if len(entry.path) > 1 or entry.query is not None:
                raise Failure(Category.INVALID, "A create is posted to the address of the type.", expression=place)
            if entry.if_none_exist is None:
                return proposal
            place = f"{entry.place}.request.ifNoneExist"
            return replace(proposal, condition=self._condition(kind, entry.if_none_exist, place))
        if len(entry.path) == 2:
            if entry.query is not None or not FHIR_ID.match(entry.path[1]):
                raise Failure(Category.INVALID, "The url must be that of a resource, or a search.", expression=place)
            return replace(proposal, key=Key(kind, entry.path[1]))
        if entry.query is None:
            raise Failure(Category.INVALID, "The url must be that of a resource, or a search.", expression=place)
        condition = self._condition(kind, entry.query, place)
        if entry.method == "PUT" and entry.resource is not None:
            key, chosen = key_for(kind, entry.resource)
            return replace(proposal, key=key, chosen=chosen, condition=condition)
        return replace(proposal, chosen=False, condition=condition)

    def _condition(self, kind: str, query: str, place: str) -> Condition:
        require_searched(self._archive, kind, place=place)
        require_searching(self._session, kind)
        return condition_of(self._archive, kind, decode_query(query.removeprefix("?")), place=place)

    def _with_resource(self, entry: BundleEntry, proposal: Proposal) -> Proposal:
        """The proposal with its resource, checked, links renamed. Raises INVALID, and as a search does."""
        kind, sent = proposal.key.type, entry.resource
        if proposal.method == "delete" or sent is None:
            return proposal
        if sent.get("resourceType") == kind:
            rename = self._links.renaming(entry.full_url, partial(self._placeholder, entry))
            sent = relinked(sent, rename)
            self._refuse_lost(sent, entry)
        resource = resource_in(self._archive, sent, kind=kind)
        if proposal.method == "update" and proposal.condition is None:
            require_id(proposal.key, resource.get("id"))
        return replace(proposal, resource=resource)

    async def _patched(self, entry: BundleEntry, proposal: Proposal) -> Proposal:
        """The patch of what is there now. Raises NOT_FOUND, GONE, PRECONDITION, UNPROCESSABLE, INVALID."""
        kind, sent = proposal.key.type, entry.resource or {}
        if sent.get("resourceType") == PARAMETERS:
            sent = relinked(sent, self._links.renaming(entry.full_url, partial(self._placeholder, entry)))
            self._refuse_lost(sent, entry)
        change = patch_in(self._archive, sent, kind=kind)
        record = await self._session.read(proposal.key)
        made = patching(self._archive, record, change, expected=entry.expected)
        return replace(made, condition=proposal.condition, place=entry.place)

    def _placeholder(self, entry: BundleEntry, text: str) -> Key:
        """What stands for a reference by search until it is known what it means."""
        if text not in self._placeholders:
            kind, _, query = text.partition("?")
            key = Key(kind, new_id())
            self._references[key] = self._condition(kind, query, f"{entry.place}.resource")
            self._placeholders[text] = key
        return self._placeholders[text]

    def _refuse_lost(self, resource: JsonObject, entry: BundleEntry) -> None:
        if self._links.lost:
            text = "The reference names an entry that is not in the Bundle."
            met = iter_references(resource, f"{entry.place}.resource")
            lost = [path for path, given in met if given in self._links.lost]
            self._links.lost.clear()
            raise Failure(Category.INVALID, issues=[Issue("not-found", text, path) for path in lost])
