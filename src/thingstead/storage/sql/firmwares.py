"""Images and their signers' keys in SQL: the port `FirmwareStore`. Knows no engine.

Every change is announced in the transaction that makes it.
"""

from collections.abc import Sequence

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.firmware.errors import FirmwareExistsError
from thingstead.features.firmware.model import Firmware, FirmwareState, NewFirmware, SigningKey
from thingstead.features.firmware.ports import Catalogue, StoredImage
from thingstead.features.products.errors import ProductNotFoundError
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.ids import FirmwareId, ProductId
from thingstead.storage.sql.changes import announce
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.firmware_rows import (
    FirmwareRow,
    campaign_of,
    change_of_state,
    firmware_of,
)
from thingstead.storage.sql.firmware_tables import (
    CAMPAIGN,
    FIRMWARE,
    FIRMWARE_KEY,
    IS_OFFERABLE,
)
from thingstead.storage.sql.many_rows import folded, rows_of
from thingstead.storage.sql.tables import PRODUCT

_CATALOGUE = 1_000
_KEYS = 100
_DIGESTS_AT_ONCE = 500
_CAMPAIGN_PREFIX = "campaign_"


class SQLFirmwareStore:
    """Keeps the rows of images and of keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        firmware_id: FirmwareId,
        new: NewFirmware,
        image: StoredImage,
        *,
        sequence: int,
        is_revert: bool,
        most: int,
        at_ms: int,
    ) -> Firmware | None:
        """Store a row durably; None when the product has `most` images already.

        Raises:
            ProductNotFoundError: there is no such product.
            FirmwareExistsError: product and MCU have the version (unless it is a revert), or a
                sequence that is not smaller.
        """
        of_product = FIRMWARE.c.product_id == new.product_id
        count = select(func.count()).select_from(FIRMWARE).where(of_product)
        columns = _columns_of(new, image) | {
            "id": firmware_id,
            "sequence": sequence,
            "is_revert": int(is_revert),
            "created_at_ms": at_ms,
            "published_at_ms": None if new.is_draft else at_ms,
        }
        added = insert(FIRMWARE).values(**columns).returning(*FIRMWARE.columns)
        async with self._database.writing() as connection:
            await _hold_product(connection, new.product_id)
            await _demand_new(connection, new, sequence=sequence, is_revert=is_revert)
            if (await connection.execute(count)).scalar_one() >= most:
                return None
            row = (await connection.execute(added)).one()
            await announce_firmware(connection, new.product_id)
        return firmware_of(row)

    async def get(self, firmware_id: FirmwareId) -> Firmware | None:
        """Return the image's row, whatever its state."""
        statement = select(FIRMWARE).where(FIRMWARE.c.id == firmware_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else firmware_of(row)

    async def by_version(self, product_id: ProductId, mcu: str, version: str) -> Firmware | None:
        """Return the newest image of that version."""
        statement = (
            select(FIRMWARE)
            .where(
                FIRMWARE.c.product_id == product_id,
                FIRMWARE.c.mcu == mcu,
                FIRMWARE.c.version == version,
            )
            .order_by(FIRMWARE.c.number.desc())
            .limit(1)
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else firmware_of(row)

    async def page(
        self, product_id: ProductId | None, *, before: int | None, limit: int
    ) -> list[Firmware]:
        """Return at most `limit` images with a number below `before`, newest first."""
        statement = (
            # Numbers begin at 1; the bound makes this a search in the key.
            select(FIRMWARE)
            .where(FIRMWARE.c.number > 0)
            .order_by(FIRMWARE.c.number.desc())
            .limit(limit)
        )
        if product_id is not None:
            statement = statement.where(FIRMWARE.c.product_id == product_id)
        if before is not None:
            statement = statement.where(FIRMWARE.c.number < before)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [firmware_of(row) for row in rows]

    async def newest_sequence(self, product_id: ProductId, mcu: str) -> int:
        """Return the largest sequence, 0 without images."""
        async with self._database.reading() as connection:
            return await _newest_sequence(connection, product_id, mcu)

    async def change_state(
        self,
        firmware_id: FirmwareId,
        state: FirmwareState,
        *,
        from_states: Sequence[FirmwareState],
        at_ms: int,
    ) -> Firmware | None:
        """Put the image into the state durably; None when it is in none of `from_states`."""
        statement = (
            change_of_state(state, at_ms)
            .where(
                FIRMWARE.c.id == firmware_id,
                FIRMWARE.c.state.in_([from_state.value for from_state in from_states]),
            )
            .returning(*FIRMWARE.columns)
        )
        async with self._database.writing() as connection:
            row = (await connection.execute(statement)).one_or_none()
            if row is None:
                return None
            await announce_firmware(connection, row.product_id)
        return firmware_of(row)

    async def catalogue(self, product_id: ProductId) -> Catalogue:
        """Return what the product has to offer; empty for one that does not exist."""
        other = CAMPAIGN.alias("other")
        newest = (
            select(func.max(other.c.number))
            .where(other.c.firmware_id == FIRMWARE.c.id)
            .correlate(FIRMWARE)
            .scalar_subquery()
        )
        # One statement, so that an image never goes without the campaign that holds it back.
        statement = (
            select(
                FIRMWARE, *(one.label(f"{_CAMPAIGN_PREFIX}{one.name}") for one in CAMPAIGN.columns)
            )
            .select_from(FIRMWARE.outerjoin(CAMPAIGN, CAMPAIGN.c.number == newest))
            .where(FIRMWARE.c.product_id == product_id, IS_OFFERABLE)
            .order_by(FIRMWARE.c.sequence.desc(), FIRMWARE.c.number.desc())
            .limit(_CATALOGUE)
        )
        async with self._database.reading() as connection:
            rows = await rows_of(connection, statement)
        return await folded(_catalogue_of, rows)

    async def add_key(self, key: SigningKey) -> bool:
        """Store a key; False when the product has it already (a revoked one stays revoked).

        Raises:
            ProductNotFoundError: there is no such product.
        """
        known = select(FIRMWARE_KEY.c.id).where(
            FIRMWARE_KEY.c.product_id == key.product_id, FIRMWARE_KEY.c.id == key.id
        )
        added = insert(FIRMWARE_KEY).values(
            product_id=key.product_id,
            id=key.id,
            algorithm=key.algorithm,
            public_der=key.public_der,
            name=key.name,
            created_at_ms=key.created_at_ms,
            revoked_at_ms=key.revoked_at_ms,
        )
        async with self._database.writing() as connection:
            await _hold_product(connection, key.product_id)
            if (await connection.execute(known)).one_or_none() is not None:
                return False
            await connection.execute(added)
            await announce_firmware(connection, key.product_id)
        return True

    async def keys(self, product_id: ProductId) -> list[SigningKey]:
        """Return the product's keys, the oldest first, at most 100; revoked ones too."""
        statement = (
            select(FIRMWARE_KEY)
            .where(FIRMWARE_KEY.c.product_id == product_id)
            .order_by(FIRMWARE_KEY.c.created_at_ms, FIRMWARE_KEY.c.id)
            .limit(_KEYS)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [_key_of(row) for row in rows]

    async def revoke_key(self, product_id: ProductId, key_id: str, *, at_ms: int) -> bool:
        """Revoke the key; False when there is no such key, True again for a revoked one."""
        revoked_at_ms = FIRMWARE_KEY.c.revoked_at_ms
        statement = (
            update(FIRMWARE_KEY)
            .where(FIRMWARE_KEY.c.product_id == product_id, FIRMWARE_KEY.c.id == key_id)
            .values(revoked_at_ms=func.coalesce(revoked_at_ms, at_ms))
        )
        async with self._database.writing() as connection:
            if (await connection.execute(statement)).rowcount == 0:
                return False
            await announce_firmware(connection, product_id)
        return True

    async def needs_signature(self, product_id: ProductId) -> bool:
        """Return whether unsigned images of the product are refused."""
        statement = select(PRODUCT.c.needs_signature).where(PRODUCT.c.id == product_id)
        async with self._database.reading() as connection:
            return bool((await connection.execute(statement)).scalar_one_or_none())

    async def set_needs_signature(self, product_id: ProductId, *, is_needed: bool) -> bool:
        """Change that; False when there is no such product."""
        statement = (
            update(PRODUCT).where(PRODUCT.c.id == product_id).values(needs_signature=int(is_needed))
        )
        async with self._database.writing() as connection:
            if (await connection.execute(statement)).rowcount == 0:
                return False
            await announce_firmware(connection, product_id)
        return True

    async def used_digests(self, digests: Sequence[bytes]) -> set[bytes]:
        """Return those SHA-256 digests that a row names."""
        used: set[bytes] = set()
        async with self._database.reading() as connection:
            for start in range(0, len(digests), _DIGESTS_AT_ONCE):
                some = digests[start : start + _DIGESTS_AT_ONCE]
                statement = select(FIRMWARE.c.sha256).where(FIRMWARE.c.sha256.in_(some))
                used.update((await connection.execute(statement)).scalars())
        return used


async def announce_firmware(connection: AsyncConnection, product_id: ProductId) -> None:
    """Announce that what the product has to offer is no longer as it was."""
    await announce(connection, Change(Kind.FIRMWARE, str(product_id)))


async def _hold_product(connection: AsyncConnection, product_id: ProductId) -> None:
    """Have nobody else add anything to the product until the transaction ends."""
    statement = select(PRODUCT.c.id).where(PRODUCT.c.id == product_id).with_for_update()
    if (await connection.execute(statement)).one_or_none() is None:
        raise ProductNotFoundError(f"id {product_id}")


async def _demand_new(
    connection: AsyncConnection, new: NewFirmware, *, sequence: int, is_revert: bool
) -> None:
    known = select(FIRMWARE.c.number).where(
        FIRMWARE.c.product_id == new.product_id,
        FIRMWARE.c.mcu == new.mcu,
        FIRMWARE.c.version == new.version,
        FIRMWARE.c.is_revert == 0,
    )
    if not is_revert and (await connection.execute(known)).one_or_none() is not None:
        raise FirmwareExistsError(f"{new.mcu} has version {new.version} already")
    newest = await _newest_sequence(connection, new.product_id, new.mcu)
    if newest >= sequence:
        raise FirmwareExistsError(
            f"{new.mcu} has sequence {newest} already, so {sequence} is too small"
        )


async def _newest_sequence(connection: AsyncConnection, product_id: ProductId, mcu: str) -> int:
    statement = select(func.max(FIRMWARE.c.sequence)).where(
        FIRMWARE.c.product_id == product_id, FIRMWARE.c.mcu == mcu
    )
    return (await connection.execute(statement)).scalar_one() or 0


def _catalogue_of(rows: Sequence[FirmwareRow]) -> Catalogue:
    return Catalogue(
        tuple(firmware_of(row) for row in rows),
        tuple(
            campaign_of(row, _CAMPAIGN_PREFIX) for row in rows if row.campaign_number is not None
        ),
    )


def _columns_of(new: NewFirmware, image: StoredImage) -> dict[str, object]:
    """Return what of a row publisher and image say."""
    state = FirmwareState.DRAFT if new.is_draft else FirmwareState.PUBLISHED
    signature = new.signature
    return {
        "product_id": new.product_id,
        "mcu": new.mcu,
        "version": new.version,
        "state": state.value,
        "size": image.size,
        "sha256": image.digests.sha256,
        "sha1": image.digests.sha1,
        "md5": image.digests.md5,
        "filename": new.filename,
        "image_kind": image.facts.kind,
        "image_version": image.facts.version,
        "image_project": image.facts.project,
        "image_chip": image.facts.chip,
        "notes": new.notes,
        "min_version": new.min_version,
        "is_mandatory": int(new.is_mandatory),
        "not_before_ms": new.not_before_ms,
        "expires_at_ms": new.expires_at_ms,
        "signature_key_id": signature.key_id if signature else None,
        "signature_algorithm": signature.algorithm if signature else None,
        "signature": signature.value if signature else None,
    }


def _key_of(row: FirmwareRow) -> SigningKey:
    return SigningKey(
        id=row.id,
        product_id=ProductId(row.product_id),
        algorithm=row.algorithm,
        public_der=row.public_der,
        name=row.name,
        created_at_ms=row.created_at_ms,
        revoked_at_ms=row.revoked_at_ms,
    )
