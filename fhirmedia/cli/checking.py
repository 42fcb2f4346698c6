"""One check of a whole folder, with progress; used by the commands that must know that a folder is sound."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from fhirmedia.app.house import registry_of
from fhirmedia.backends.folder import Folder
from fhirmedia.backends.inspection_sql import STEPS, SqliteInspection
from fhirmedia.backends.objects_files import FileObjectStore
from fhirmedia.cli.progress import Progress
from fhirmedia.core.settings import Settings
from fhirmedia.custody.mending import Mender
from fhirmedia.custody.reconcile import Correction, Reconciliation, judge_bytes, judge_leftovers
from fhirmedia.ports.maintenance import Finding
from fhirmedia.r4.extract import Extractor

KEPT = 1_000
"""Findings remembered to be shown; all are counted."""

Correct = Callable[[Sequence[Correction]], Awaitable[None]]


@dataclass(slots=True)
class Report:
    """What was looked at and what was found; `lasting` counts damage that nothing cures."""

    versions: int = 0
    objects: int = 0
    damages: int = 0
    notes: int = 0
    lasting: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, findings: Sequence[Finding]) -> None:
        """Count findings, and remember them while there is room."""
        for finding in findings:
            self.damages += finding.severity == "damage"
            self.notes += finding.severity == "note"
            self.lasting += finding.severity == "damage" and finding.cure == "none"
        self.findings.extend(findings[: KEPT - len(self.findings)])

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        findings = [
            {"part": each.part, "where": each.where, "text": each.text, "severity": each.severity}
            for each in self.findings
        ]
        return {**asdict(self), "sound": self.damages == 0, "findings": findings}

    def lines(self) -> list[str]:
        """For people: each finding, then the sum."""
        said = [f"{each.part:<8}  {each.severity:<6}  {each.where}  {each.text}" for each in self.findings]
        if self.damages + self.notes > len(self.findings):
            said.append(f"… and {self.damages + self.notes - len(self.findings):,} more")
        verdict = "sound" if self.damages == 0 else f"{self.damages:,} damaged"
        noted = f", {self.notes:,} worth a look" if self.notes else ""
        said.append(f"{self.versions:,} versions and {self.objects:,} contents checked: {verdict}{noted}")
        return said


async def check_folder(
    folder: Folder, settings: Settings, *, base_url: str, reread: bool, correct: Correct | None = None
) -> Report:
    """Check everything; with `reread` every byte, too. What can be made anew is handed to `correct` as it is found.

    Where the database itself is damaged nothing else is looked at.
    """
    report = Report()
    registry = registry_of(folder)
    extractor = Extractor(registry, base_url=base_url, zone=ZoneInfo(settings.timezone), language=settings.language)
    objects = FileObjectStore(folder.path, on_broken=lambda: None)
    try:
        with closing(SqliteInspection(folder.records, filling=registry.waiting)) as inspection:
            with Progress("database", STEPS) as progress:
                for finding in inspection.damages(done=progress.advance):
                    report.add([finding])
            if any(finding.part == "database" for finding in report.findings):
                return report
            walk = Reconciliation(inspection, registry=registry, extractor=extractor, base_url=base_url)
            with Progress("records", inspection.last_sequence) as progress:
                for judged in walk.versions():
                    report.add(judged.findings)
                    report.versions += judged.number
                    if correct is not None and judged.corrections:
                        await correct(judged.corrections)
                    progress.advance(judged.number)
            with Progress("bytes", inspection.blob_count) as progress:
                async for judged in judge_bytes(inspection, objects, reread=reread):
                    report.add(judged.findings)
                    report.objects += judged.number
                    progress.advance(judged.number)
            async for judged in judge_leftovers(inspection, objects):
                report.add(judged.findings)
    finally:
        await objects.close()
    return report


async def repair_folder(folder: Folder, settings: Settings, mender: Mender, *, base_url: str, reread: bool) -> Report:
    """Put right what can be, and report what a second look finds."""
    found = await check_folder(folder, settings, base_url=base_url, reread=reread, correct=mender.correct)
    if found.damages > found.lasting:
        await mender.mend(claims=found.lasting == 0)
    return await check_folder(folder, settings, base_url=base_url, reread=reread) if found.findings else found
