"""Rows of images, campaigns and updates as the features know them, and back.

Used by the stores of images, updates and campaigns.
"""

import json
from dataclasses import asdict

from sqlalchemy import Row, Update, func, update

from thingstead.features.campaigns.model import (
    Campaign,
    CampaignPlan,
    CampaignState,
    Gate,
    Proof,
    Stop,
    Target,
)
from thingstead.features.firmware import model
from thingstead.features.firmware.model import (
    Digests,
    Firmware,
    FirmwareState,
    ImageFacts,
    Signature,
    UpdateState,
)
from thingstead.kernel.ids import CampaignId, FirmwareId, ProductId, ThingId
from thingstead.storage.sql.firmware_tables import FIRMWARE

FirmwareRow = Row[*tuple[object, ...]]


def firmware_of(row: FirmwareRow) -> Firmware:
    """Return the image that the row describes."""
    return Firmware(
        number=row.number,
        id=FirmwareId(row.id),
        product_id=ProductId(row.product_id),
        mcu=row.mcu,
        version=row.version,
        sequence=row.sequence,
        state=FirmwareState(row.state),
        size=row.size,
        digests=Digests(row.sha256, row.sha1, row.md5),
        filename=row.filename,
        facts=ImageFacts(row.image_kind, row.image_version, row.image_project, row.image_chip),
        created_at_ms=row.created_at_ms,
        published_at_ms=row.published_at_ms,
        notes=row.notes,
        min_version=row.min_version,
        is_mandatory=bool(row.is_mandatory),
        is_revert=bool(row.is_revert),
        not_before_ms=row.not_before_ms,
        expires_at_ms=row.expires_at_ms,
        signature=_signature_of(row),
    )


def _signature_of(row: FirmwareRow) -> Signature | None:
    if row.signature is None:
        return None
    return Signature(row.signature_key_id, row.signature_algorithm, row.signature)


def change_of_state(state: FirmwareState, at_ms: int) -> Update:
    """Return the statement that gives images the state, without saying which images.

    The time at which an image was first published stays.
    """
    columns: dict[str, object] = {"state": state.value}
    if state is FirmwareState.PUBLISHED:
        columns["published_at_ms"] = func.coalesce(FIRMWARE.c.published_at_ms, at_ms)
    return update(FIRMWARE).values(**columns)


def campaign_of(row: FirmwareRow, prefix: str = "") -> Campaign:
    """Return the campaign in those columns of the row whose names begin with the prefix."""
    column = {
        name.removeprefix(prefix): value
        for name, value in row._asdict().items()
        if name.startswith(prefix)
    }
    return Campaign(
        id=CampaignId(column["id"]),
        product_id=ProductId(column["product_id"]),
        mcu=column["mcu"],
        plan=_plan_of(column["plan"], FirmwareId(column["firmware_id"])),
        state=CampaignState(column["state"]),
        reason=column["reason"],
        open_ring=column["open_ring"],
        ring_opened_at_ms=column["ring_opened_at_ms"],
        forgiven_failures=column["forgiven_failures"],
        forgiven_ended=column["forgiven_ended"],
        resumed_at_ms=column["resumed_at_ms"],
        prepared_to=column["prepared_to"],
        created_at_ms=column["created_at_ms"],
        changed_at_ms=column["changed_at_ms"],
        revision=column["revision"],
    )


def plan_text(plan: CampaignPlan) -> str:
    """Return the plan as it is stored, all but the image."""
    said = asdict(plan)
    del said["firmware_id"]
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def _plan_of(text: str, firmware_id: FirmwareId) -> CampaignPlan:
    said = json.loads(text)
    gate = said["gate"]
    return CampaignPlan(
        firmware_id=firmware_id,
        name=said["name"],
        target=Target(tuple(said["target"]["tags"]), tuple(said["target"]["versions"])),
        rings=tuple(said["rings"]),
        gate=Gate(gate["success_percent"], gate["soak_s"], Proof(gate["proof"])),
        stop=Stop(**said["stop"]),
        attempts=said["attempts"],
        patience_s=said["patience_s"],
    )


def update_of(row: FirmwareRow) -> model.Update:
    """Return the update that the row describes."""
    return model.Update(
        thing_id=ThingId(row.thing_id),
        firmware_id=FirmwareId(row.firmware_id),
        product_id=ProductId(row.product_id),
        mcu=row.mcu,
        campaign_id=None if row.campaign_id is None else CampaignId(row.campaign_id),
        ring=row.ring,
        state=UpdateState(row.state),
        reason=row.reason,
        failures=row.failures,
        offered_at_ms=row.offered_at_ms,
        begun_at_ms=row.begun_at_ms,
        downloaded_at_ms=row.downloaded_at_ms,
        reported_at_ms=row.reported_at_ms,
        ended_at_ms=row.ended_at_ms,
        changed_at_ms=row.changed_at_ms,
        action=row.action,
        revision=row.revision,
    )


def columns_of(update: model.Update) -> dict[str, object]:
    """Return what a row of the update holds, but its action, which the database gives."""
    return {
        "thing_id": update.thing_id,
        "firmware_id": update.firmware_id,
        "product_id": update.product_id,
        "mcu": update.mcu,
        "campaign_id": update.campaign_id,
        "ring": update.ring,
        "state": update.state.value,
        "reason": update.reason,
        "failures": update.failures,
        "offered_at_ms": update.offered_at_ms,
        "begun_at_ms": update.begun_at_ms,
        "downloaded_at_ms": update.downloaded_at_ms,
        "reported_at_ms": update.reported_at_ms,
        "ended_at_ms": update.ended_at_ms,
        "changed_at_ms": update.changed_at_ms,
        "revision": update.revision,
    }
