"""What products have to offer, kept so that no poll has to ask the store.

A catalogue is forgotten as soon as something announces that it may have changed
(`kernel/changes.py`), and loaded once for all who ask meanwhile. Nothing here decides.
"""

import asyncio
import itertools

from thingstead.features.firmware.ports import Catalogue, FirmwareStore
from thingstead.features.firmware.stock import Stock
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.ids import ProductId


class Catalogues:
    """Finds and remembers catalogues: of at most `kept_images` images together."""

    def __init__(
        self, store: FirmwareStore, changes: Changes, *, kept_images: int = 50_000
    ) -> None:
        self._store = store
        self._changes = changes
        self._most = kept_images
        self._known: dict[ProductId, Stock] = {}
        self._kept = 0
        self._serials = itertools.count(1)
        # Loads under way, which whoever asks meanwhile waits for; one that was overtaken by a
        # change is not among them any more.
        self._loads: dict[ProductId, asyncio.Future[Stock | None]] = {}
        changes.listen(Kind.FIRMWARE, self._forget)

    def __len__(self) -> int:
        return len(self._known)

    def known(self, product_id: ProductId) -> Catalogue | None:
        """Return what the product has to offer, without waiting, if that is remembered."""
        stock = self.known_stock(product_id)
        return None if stock is None else stock.catalogue

    async def of(self, product_id: ProductId) -> Catalogue:
        """Return what the product has to offer; empty for one that does not exist."""
        return (await self.stock_of(product_id)).catalogue

    def known_stock(self, product_id: ProductId) -> Stock | None:
        """Return the same in the order in which images are looked for."""
        self._changes.look()
        return self._known.get(product_id)

    async def stock_of(self, product_id: ProductId) -> Stock:
        """Return the same in the order in which images are looked for; waits if it must."""
        self._changes.look()
        while True:
            known = self._known.get(product_id)
            if known is not None:
                return known
            load = self._loads.get(product_id)
            if load is None:
                return await self._load(product_id)
            stock = await asyncio.shield(load)
            if stock is not None:
                return stock
            # Who was loading it is gone; somebody who waited does it now.

    async def _load(self, product_id: ProductId) -> Stock:
        load = self._loads[product_id] = asyncio.get_running_loop().create_future()
        try:
            catalogue = await self._store.catalogue(product_id)
            stock = Stock(catalogue, next(self._serials))
        except Exception as error:
            load.set_exception(error)
            load.exception()  # Perhaps nobody waits for it.
            raise
        else:
            # What was loaded before a change must not be remembered after it.
            if self._loads.get(product_id) is load:
                self._remember(product_id, stock)
            load.set_result(stock)
            return stock
        finally:
            if self._loads.get(product_id) is load:
                del self._loads[product_id]
            if not load.done():
                load.set_result(None)

    def _remember(self, product_id: ProductId, stock: Stock) -> None:
        size = _size(stock)
        if size > self._most:
            return
        while self._kept + size > self._most:
            self._drop(next(iter(self._known)))
        self._known[product_id] = stock
        self._kept += size

    def _drop(self, product_id: ProductId) -> None:
        known = self._known.pop(product_id, None)
        if known is not None:
            self._kept -= _size(known)

    def _forget(self, subject: str | None) -> None:
        if subject is None:
            self._loads.clear()
            self._known.clear()
            self._kept = 0
        else:
            product_id = ProductId(int(subject))
            self._loads.pop(product_id, None)
            self._drop(product_id)


def _size(stock: Stock) -> int:
    """Return how many images it counts as; an empty catalogue takes room too."""
    return 1 + len(stock.catalogue.firmwares)
