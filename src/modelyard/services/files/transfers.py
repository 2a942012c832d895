"""All that moves files between clients and the blob store under the registry's rules, joined."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from modelyard.blobs.store import BlobStore
from modelyard.registry.engine import Database
from modelyard.services.files.bypass import Bypass, ProxyPath
from modelyard.services.files.downloads import Downloads
from modelyard.services.files.locating import find
from modelyard.services.files.lookup import Lookup
from modelyard.services.files.quota import Quota
from modelyard.services.files.recording import Recorder
from modelyard.services.files.remote import Remote
from modelyard.services.files.uploads import Uploads
from modelyard.services.files.uses import InFlight, Uses

IO_THREADS = 16
VERIFYING_THREADS = 4


class Transfers:
    """Whoever carries a file passes one of `uploads`, `downloads` and `bypass`, once, with a `FileRequest`."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        remote: Remote | None,
        in_flight: InFlight,
        *,
        max_file_size: int,
        project_quota: int,
        proxy_path: ProxyPath | None,
    ) -> None:
        self.store, self.in_flight, self.max_file_size = store, in_flight, max_file_size
        self.io = ThreadPoolExecutor(IO_THREADS, thread_name_prefix="blob-io")
        self.verifiers = ThreadPoolExecutor(VERIFYING_THREADS, thread_name_prefix="blob-verify")
        self.lookup = lookup = Lookup(database, find, single=True)
        self.quota = quota = Quota(database, project_quota)
        self.uses = uses = Uses(database.usage)
        self.recorder = recorder = Recorder(database, store, quota)
        self.uploads = Uploads(lookup, uses, quota, recorder, store, self.io, max_file_size, in_flight)
        self.downloads = Downloads(lookup, uses, store, self.io, in_flight, over_network=remote is not None)
        self.bypass = Bypass(lookup, uses, recorder, remote, self.io, self.verifiers, proxy_path)

    def close(self) -> None:
        """Let running reads and writes end."""
        self.io.shutdown()
        self.verifiers.shutdown()
