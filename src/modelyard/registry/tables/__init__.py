"""The tables. Times are milliseconds since 1970 UTC, digests are lower-case hex SHA-256.

Ids follow GitLab: version ids are global, the iids of experiments and candidates count within a project. No id is ever
used twice, so that a link to something deleted never comes to mean something else.
"""

from modelyard.registry.tables.accounts import (
    BrowserSession,
    Member,
    Project,
    ProjectRows,
    ProjectStorage,
    SignInCode,
    Token,
    User,
)
from modelyard.registry.tables.base import Base
from modelyard.registry.tables.experiments import (
    HEAD_LENGTH,
    METRIC_VALUE,
    Candidate,
    CandidateDataset,
    CandidateMetric,
    CandidateModel,
    CandidateParam,
    CandidateTag,
    Experiment,
    ExperimentTag,
    LatestMetric,
    head_of,
)
from modelyard.registry.tables.files import Blob, Package, PackageFile
from modelyard.registry.tables.hub import (
    ChunkMark,
    Commit,
    KnownChunks,
    UploadedObject,
    UploadPiece,
    UploadTicket,
)
from modelyard.registry.tables.identity import Issuer, TokenOrigin, TrustedPublisher, UsedToken, VersionOrigin
from modelyard.registry.tables.marks import Mark
from modelyard.registry.tables.models import (
    LoggedModel,
    LoggedModelParam,
    LoggedModelTag,
    Model,
    ModelAlias,
    ModelTag,
    ModelVersion,
    ModelVersionTag,
)
from modelyard.registry.tables.sign_on import (
    DeviceGrant,
    Password,
    ProviderGroup,
    SignOnProvider,
    SignOnSession,
    SignOnState,
    UserIdentity,
)
from modelyard.registry.tables.trail import AuditEvent, UpkeepRun
from modelyard.registry.tables.uploads import Upload, UploadPart

__all__ = [
    "HEAD_LENGTH",
    "METRIC_VALUE",
    "AuditEvent",
    "Base",
    "Blob",
    "BrowserSession",
    "Candidate",
    "CandidateDataset",
    "CandidateMetric",
    "CandidateModel",
    "CandidateParam",
    "CandidateTag",
    "ChunkMark",
    "Commit",
    "DeviceGrant",
    "Experiment",
    "ExperimentTag",
    "Issuer",
    "KnownChunks",
    "LatestMetric",
    "LoggedModel",
    "LoggedModelParam",
    "LoggedModelTag",
    "Mark",
    "Member",
    "Model",
    "ModelAlias",
    "ModelTag",
    "ModelVersion",
    "ModelVersionTag",
    "Package",
    "PackageFile",
    "Password",
    "Project",
    "ProjectRows",
    "ProjectStorage",
    "ProviderGroup",
    "SignInCode",
    "SignOnProvider",
    "SignOnSession",
    "SignOnState",
    "Token",
    "TokenOrigin",
    "TrustedPublisher",
    "UpkeepRun",
    "Upload",
    "UploadPart",
    "UploadPiece",
    "UploadTicket",
    "UploadedObject",
    "UsedToken",
    "User",
    "UserIdentity",
    "VersionOrigin",
    "head_of",
]
