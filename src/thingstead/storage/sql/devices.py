"""Device ids in SQL: the port of `features/devices/ports.py`. Knows no engine (`database.py`).

A thing that is deleted takes its device id along: `ownership.py`.
"""

from sqlalchemy import Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.devices.model import Device, DeviceId
from thingstead.features.things.model import SealedToken, Thing
from thingstead.kernel.ids import ProductId, ThingId
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.device_tables import DEVICE
from thingstead.storage.sql.tables import ACTIVATION_CODE, PRODUCT
from thingstead.storage.sql.things import add_thing_row


class SQLDeviceStore:
    """Keeps which thing each device id means."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def device(self, product_id: ProductId, device_id: DeviceId) -> Device | None:
        """Return the device of that id, if there is one."""
        async with self._database.reading() as connection:
            return await _device(connection, product_id, device_id)

    async def activate_device(
        self,
        product_id: ProductId,
        device_id: DeviceId,
        *,
        thing_id: ThingId,
        token: SealedToken,
        at_ms: int,
    ) -> Device | None:
        """Use one code of the product up for a thing of that device id, in one transaction.

        A device that is known already is returned as it is; None when there is no unused code.
        """
        # Looked at first: while codes are missing, new devices must not hold up who writes.
        async with self._database.reading() as connection:
            if (await connection.execute(_unused_code(product_id))).first() is None:
                return await _device(connection, product_id, device_id)
        async with self._database.writing() as connection:
            # Where several transactions write, those of one product follow one another here.
            product = select(PRODUCT.c.id).where(PRODUCT.c.id == product_id).with_for_update()
            await connection.execute(product)
            known = await _device(connection, product_id, device_id)
            if known is not None:
                return known
            if not await _use_code(connection, product_id, thing_id, at_ms):
                return None
            await add_thing_row(connection, Thing(thing_id, product_id, at_ms), token)
            await connection.execute(
                insert(DEVICE).values(product_id=product_id, device_id=device_id, thing_id=thing_id)
            )
        return Device(thing_id, is_named=False)

    async def note_named(self, product_id: ProductId, device_id: DeviceId, *, at_ms: int) -> None:
        """Note that the thing bears the id as its name; twice is the same as once."""
        statement = (
            update(DEVICE)
            .where(DEVICE.c.product_id == product_id, DEVICE.c.device_id == device_id)
            .values(named_at_ms=at_ms)
        )
        async with self._database.writing() as connection:
            await connection.execute(statement)


def _unused_code(product_id: ProductId) -> Select[tuple[bytes]]:
    return (
        select(ACTIVATION_CODE.c.digest)
        .where(ACTIVATION_CODE.c.product_id == product_id, ACTIVATION_CODE.c.used_at_ms.is_(None))
        .order_by(ACTIVATION_CODE.c.digest)
        .limit(1)
    )


async def _device(
    connection: AsyncConnection, product_id: ProductId, device_id: DeviceId
) -> Device | None:
    statement = select(DEVICE.c.thing_id, DEVICE.c.named_at_ms).where(
        DEVICE.c.product_id == product_id, DEVICE.c.device_id == device_id
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else Device(ThingId(row.thing_id), row.named_at_ms is not None)


async def _use_code(
    connection: AsyncConnection, product_id: ProductId, thing_id: ThingId, at_ms: int
) -> bool:
    """Use an unused code of the product up; return False when there is none."""
    # Whoever activates with a code takes it in a transaction of their own: those are passed by.
    unused = _unused_code(product_id).with_for_update(skip_locked=True)
    code = (await connection.execute(unused)).scalar_one_or_none()
    if code is None:
        return False
    await connection.execute(
        update(ACTIVATION_CODE)
        .where(ACTIVATION_CODE.c.digest == code)
        .values(used_at_ms=at_ms, thing_id=thing_id, sealed=None)
    )
    return True
