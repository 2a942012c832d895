"""One transaction's view of everything that is known, a repository for each subject."""

from __future__ import annotations

from functools import cached_property

from sqlalchemy.orm import Session

from modelyard.access.identity import Identity
from modelyard.access.policy import ProjectFacts
from modelyard.registry.files.blobs import BlobRepository
from modelyard.registry.files.folders import FolderRepository
from modelyard.registry.files.following import FollowingRepository
from modelyard.registry.files.locations import LocationRepository
from modelyard.registry.files.overview import OverviewRepository
from modelyard.registry.files.packages import PackageRepository
from modelyard.registry.files.resumable import ResumableRepository
from modelyard.registry.files.shown_names import ShownNameRepository
from modelyard.registry.files.storage import StorageRepository
from modelyard.registry.hub.chunks import ChunkRepository
from modelyard.registry.hub.commits import CommitRepository
from modelyard.registry.hub.models import SeenModelRepository
from modelyard.registry.hub.uploads import UploadRepository
from modelyard.registry.identity.devices import DeviceRepository
from modelyard.registry.identity.issuers import IssuerRepository
from modelyard.registry.identity.passwords import PasswordRepository
from modelyard.registry.identity.publishers import PublisherRepository
from modelyard.registry.identity.sign_on import SignOnRepository
from modelyard.registry.locks import LockRepository
from modelyard.registry.marks import MarkRepository
from modelyard.registry.models.logged_models import LoggedModelRepository
from modelyard.registry.models.registered import ModelRepository
from modelyard.registry.models.versions import VersionRepository
from modelyard.registry.people.audit import Acting, AuditRepository
from modelyard.registry.people.members import MemberRepository
from modelyard.registry.people.projects import ProjectRepository
from modelyard.registry.people.sessions import SessionRepository
from modelyard.registry.people.tokens import TokenRepository
from modelyard.registry.people.users import UserRepository
from modelyard.registry.tracking.curves import CurveRepository
from modelyard.registry.tracking.experiments import ExperimentRepository
from modelyard.registry.tracking.metrics import MetricRepository
from modelyard.registry.tracking.rings import RingRepository
from modelyard.registry.tracking.rows import RowRepository
from modelyard.registry.tracking.run_data import RunDataRepository
from modelyard.registry.tracking.run_tables import RunTableRepository
from modelyard.registry.tracking.runs import RunRepository
from modelyard.registry.transaction import Transaction
from modelyard.registry.upkeep.results import UpkeepRepository
from modelyard.registry.usage import Entered, Usage


class Registry:
    """The repositories, all in one transaction."""

    def __init__(self, transaction: Transaction, usage: Usage) -> None:
        self.transaction = transaction
        self._usage = usage
        self._acting = Acting()

    @property
    def session(self) -> Session:
        """The transaction's, for entities."""
        return self.transaction.session

    def act(self, caller: Identity, project: ProjectFacts | None = None) -> None:
        """Say who acts from now on, and in which project: events of the audit trail are theirs.

        The caller's token counts as used.
        """
        self._acting.caller, self._acting.project = caller, project
        if caller.token_id is not None:
            self._usage.tokens.note(caller.token_id)

    def write_last_uses(self) -> None:
        """Write when tokens were last used, as far as this process knows and has not written it yet."""
        self.tokens.touch(self._usage.tokens.due(0), 0)

    @property
    def entered(self) -> Entered:
        """Projects that were written to lately."""
        return self._usage.entered

    @cached_property
    def marks(self) -> MarkRepository:
        """What tells whether anything has changed."""
        return MarkRepository(self.transaction)

    @cached_property
    def audit(self) -> AuditRepository:
        """Who did what."""
        return AuditRepository(self.transaction, self._acting)

    @cached_property
    def users(self) -> UserRepository:
        """Accounts."""
        return UserRepository(self.transaction)

    @cached_property
    def tokens(self) -> TokenRepository:
        """Credentials."""
        return TokenRepository(self.transaction)

    @cached_property
    def sessions(self) -> SessionRepository:
        """Browsers' sessions."""
        return SessionRepository(self.transaction)

    @cached_property
    def issuers(self) -> IssuerRepository:
        """Issuers of id tokens."""
        return IssuerRepository(self.transaction)

    @cached_property
    def devices(self) -> DeviceRepository:
        """Devices that wait for their users."""
        return DeviceRepository(self.transaction)

    @cached_property
    def passwords(self) -> PasswordRepository:
        """Passwords of administrators."""
        return PasswordRepository(self.transaction)

    @cached_property
    def publishers(self) -> PublisherRepository:
        """Trusted publishers, and what their jobs have and made."""
        return PublisherRepository(self.transaction)

    @cached_property
    def sign_on(self) -> SignOnRepository:
        """Single sign-on."""
        return SignOnRepository(self.transaction)

    @cached_property
    def projects(self) -> ProjectRepository:
        """Projects."""
        return ProjectRepository(self.transaction)

    @cached_property
    def members(self) -> MemberRepository:
        """Roles of users in projects."""
        return MemberRepository(self.transaction)

    @cached_property
    def experiments(self) -> ExperimentRepository:
        """Experiments and their tags."""
        return ExperimentRepository(self.transaction)

    @cached_property
    def runs(self) -> RunRepository:
        """Candidates, which are MLflow's runs."""
        return RunRepository(self.transaction)

    @cached_property
    def run_data(self) -> RunDataRepository:
        """Tags, parameters, datasets and models of runs."""
        return RunDataRepository(self.transaction)

    @cached_property
    def metrics(self) -> MetricRepository:
        """Metrics of runs."""
        return MetricRepository(self.transaction)

    @cached_property
    def folders(self) -> FolderRepository:
        """Files of packages, as folders of them."""
        return FolderRepository(self.transaction)

    @cached_property
    def overview(self) -> OverviewRepository:
        """Counts and sizes of many models and versions."""
        return OverviewRepository(self.transaction)

    @cached_property
    def rings(self) -> RingRepository:
        """Runs whose parents lead back to them."""
        return RingRepository(self.transaction)

    @cached_property
    def run_tables(self) -> RunTableRepository:
        """Runs by what columns show of them."""
        return RunTableRepository(self.transaction)

    @cached_property
    def curves(self) -> CurveRepository:
        """Points of metrics, to be drawn."""
        return CurveRepository(self.transaction)

    @cached_property
    def models(self) -> ModelRepository:
        """Registered models."""
        return ModelRepository(self.transaction)

    @cached_property
    def versions(self) -> VersionRepository:
        """Versions of registered models."""
        return VersionRepository(self.transaction)

    @cached_property
    def following(self) -> FollowingRepository:
        """Which versions follow whose files."""
        return FollowingRepository(self.transaction)

    @cached_property
    def logged_models(self) -> LoggedModelRepository:
        """Models that runs have logged."""
        return LoggedModelRepository(self.transaction)

    @cached_property
    def packages(self) -> PackageRepository:
        """Packages and their files."""
        return PackageRepository(self.transaction)

    @cached_property
    def commits(self) -> CommitRepository:
        """The files of versions, and the commits that were told of them."""
        return CommitRepository(self.transaction)

    @cached_property
    def seen_models(self) -> SeenModelRepository:
        """Models of all projects that somebody sees."""
        return SeenModelRepository(self.transaction)

    @cached_property
    def chunks(self) -> ChunkRepository:
        """Chunks of files, as xet knows them."""
        return ChunkRepository(self.transaction)

    @cached_property
    def uploads(self) -> UploadRepository:
        """What was sent and is not committed yet."""
        return UploadRepository(self.transaction)

    @cached_property
    def shown_names(self) -> ShownNameRepository:
        """Files by the names that MLflow's clients make of theirs."""
        return ShownNameRepository(self.transaction)

    @cached_property
    def storage(self) -> StorageRepository:
        """Bytes by project."""
        return StorageRepository(self.transaction)

    @cached_property
    def resumable(self) -> ResumableRepository:
        """Uploads that go on."""
        return ResumableRepository(self.transaction)

    @cached_property
    def rows(self) -> RowRepository:
        """Bytes of rows by project."""
        return RowRepository(self.transaction)

    @cached_property
    def blobs(self) -> BlobRepository:
        """Which content is known and referred to."""
        return BlobRepository(self.transaction)

    @cached_property
    def locations(self) -> LocationRepository:
        """The hot lookup behind authorize, upload and download."""
        return LocationRepository(self.transaction)

    @cached_property
    def upkeep(self) -> UpkeepRepository:
        """How the last runs of upkeep went."""
        return UpkeepRepository(self.transaction)

    @cached_property
    def locks(self) -> LockRepository:
        """Turns among writers."""
        return LockRepository(self.transaction)
