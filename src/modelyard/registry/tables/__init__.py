"""The tables. Times are milliseconds since 1970 UTC, digests are lower-case hex SHA-256.

Ids follow GitLab: version ids are global, the iids of experiments and candidates count within a project. No id is ever
used twice, so that a link to something deleted never comes to mean something else.
"""

from modelyard.registry.tables.accounts import Member, Project, ProjectRows, ProjectStorage, Token, User
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
from modelyard.registry.tables.hub import Commit
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
from modelyard.registry.tables.trail import AuditEvent, UpkeepRun

__all__ = [
    "HEAD_LENGTH",
    "METRIC_VALUE",
    "AuditEvent",
    "Base",
    "Blob",
    "Candidate",
    "CandidateDataset",
    "CandidateMetric",
    "CandidateModel",
    "CandidateParam",
    "CandidateTag",
    "Commit",
    "Experiment",
    "ExperimentTag",
    "LatestMetric",
    "LoggedModel",
    "LoggedModelParam",
    "LoggedModelTag",
    "Member",
    "Model",
    "ModelAlias",
    "ModelTag",
    "ModelVersion",
    "ModelVersionTag",
    "Package",
    "PackageFile",
    "Project",
    "ProjectRows",
    "ProjectStorage",
    "Token",
    "UpkeepRun",
    "User",
    "head_of",
]
