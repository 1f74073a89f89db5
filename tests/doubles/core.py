"""Everything that `core.db` keeps, in memory."""

from copy import copy

from doubles.apps import MemoryAppStore
from doubles.campaigns import MemoryCampaignStore
from doubles.devices import MemoryDeviceStore
from doubles.firmware import MemoryFirmwareStore, MemoryUpdateStore
from doubles.kept_sessions import (
    KeptClients,
    MemoryKeptSessionStore,
    MemoryWaitingMessageStore,
)
from doubles.links import MemoryLinkIdStore, MemoryLinkStore
from doubles.objects import MemoryObjectStore
from doubles.organisation import Organisation
from doubles.products import MemoryProductStore
from doubles.sharing import MemoryGrantStore, MemoryReachStore
from doubles.tags import MemoryTagStore
from doubles.things import MemoryChangeSignal, MemoryPurgeList, MemoryThingStore
from doubles.users import (
    MemoryAccountStore,
    MemoryMailLinkStore,
    MemorySessionStore,
    MemorySettingsStore,
)
from thingstead.features.kept_sessions.model import KeptSessionLimits
from thingstead.features.things.ports import Seal


class MemoryCore:
    """The stores on one memory; `twin` is another process that sees the same."""

    def __init__(self) -> None:
        self._organisation = organisation = Organisation()
        self.products = MemoryProductStore(organisation)
        self.things = MemoryThingStore(self.products, organisation)
        self.devices = MemoryDeviceStore(self.products, self.things, organisation)
        self.tags = MemoryTagStore(self.things)
        self.change_signal = MemoryChangeSignal(organisation)
        self.objects = MemoryObjectStore()
        self.purge_list = MemoryPurgeList(organisation, self.objects.kept)
        self.apps = MemoryAppStore(organisation)
        self.accounts = MemoryAccountStore(organisation, self.objects.kept)
        self.sessions = MemorySessionStore(organisation)
        self.mail_links = MemoryMailLinkStore(organisation)
        self.user_settings = MemorySettingsStore(organisation)
        self.links = MemoryLinkStore(organisation)
        self.link_ids = MemoryLinkIdStore(organisation, self.products)
        self.grants = MemoryGrantStore(organisation)
        self.reach = MemoryReachStore(organisation)
        self.firmwares = MemoryFirmwareStore(organisation)
        self.firmware_updates = MemoryUpdateStore(organisation)
        self.campaigns = MemoryCampaignStore(organisation)
        self.outbox = organisation.outbox
        self._kept_clients = KeptClients(organisation)

    def kept_sessions(self, _seal: Seal, limits: KeptSessionLimits) -> MemoryKeptSessionStore:
        return MemoryKeptSessionStore(self._kept_clients, limits)

    def waiting_messages(self, _seal: Seal, limits: KeptSessionLimits) -> MemoryWaitingMessageStore:
        return MemoryWaitingMessageStore(self._kept_clients, limits)

    def twin(self) -> "MemoryCore":
        twin = copy(self)
        twin.change_signal = MemoryChangeSignal(self._organisation)
        twin.objects = MemoryObjectStore(self.objects.kept)
        return twin

    async def close(self) -> None:
        """Nothing is open."""
