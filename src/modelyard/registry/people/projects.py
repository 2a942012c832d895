"""Projects, and who sees which."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Executable, Row, Select, and_, bindparam, exists, false, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute

from modelyard.access.identity import Identity
from modelyard.access.policy import ProjectFacts, Role, Visibility
from modelyard.registry.base import Ends, Repository, between, contains, storable
from modelyard.registry.people.members import in_time
from modelyard.registry.tables import Base, Candidate, Experiment, LoggedModel, Member, Model, Package, Project
from modelyard.terms.paging import Page, PageRequest
from modelyard.terms.paths import ProjectRef

ORDERS = {
    "id": Project.id,
    "name": Project.name,
    "path": Project.path,
    "created_at": Project.created_at,
    "updated_at": Project.updated_at,
    "last_activity_at": Project.updated_at,
}


@dataclass(frozen=True, slots=True)
class ProjectFilter:
    """How a listing of projects is narrowed and ordered."""

    search: str | None = None
    visibility: str | None = None
    membership: bool = False
    owned: bool = False
    least_role: Role | None = None  # of the caller
    ids: Ends = (None, None)
    updated: Ends = (None, None)  # milliseconds
    below: str | None = None  # the namespace that they lie in, or below
    none: bool = False  # what no project here can be is asked for
    order_by: str = "created_at"
    descending: bool = True


class ProjectRepository(Repository):
    """Projects by id or path, with the caller's role in them."""

    def by_id(self, project_id: int) -> Project | None:
        """The project of that id."""
        return self.session.get(Project, storable(project_id))

    def by_path(self, path: str) -> Project | None:
        """The project of that full path, whatever its case."""
        return self.session.scalar(select(Project).where(Project.path_key == path.lower()))

    def find(self, ref: ProjectRef, user_id: int | None) -> tuple[Project, ProjectFacts] | None:
        """A project and what the policy must know of it for that user, in one statement."""
        wanted = Project.id == storable(ref) if isinstance(ref, int) else Project.path_key == ref.lower()
        statement = select(Project, Member.access_level).outerjoin(Member, current_membership(user_id)).where(wanted)
        row = self.session.execute(statement, execution_options={"populate_existing": True}).one_or_none()
        return _with_facts(row) if row else None

    def is_empty(self, project_id: int) -> bool:
        """Whether a project has nothing in it but people, tokens and the experiment that each has."""
        has = (exists().where(table.project_id == project_id) for table in (Model, Candidate, LoggedModel, Package))
        experiments = select(func.count()).where(Experiment.project_id == project_id)
        return not self.session.scalar(select(or_(*has))) and (self.session.scalar(experiments) or 0) <= 1

    def visible(self, identity: Identity, narrowed: ProjectFilter, request: PageRequest) -> Page[Project]:
        """A page of the projects that the caller sees."""
        statement = _narrow(seen_by(identity), narrowed)
        column = ORDERS[narrowed.order_by]
        orders = (column.desc(), Project.id.desc()) if narrowed.descending else (column.asc(), Project.id.asc())
        return self.page(statement.order_by(*orders), request)

    def namespaces(self, identity: Identity, least: Role | None) -> list[str]:
        """What projects lie in, those of the oldest first.

        Of the projects where the caller has at least that role; None: of those that the caller sees.
        """
        oldest = func.min(Project.id)
        statement = seen_by(identity).with_only_columns(Project.namespace_path).group_by(Project.namespace_path)
        if least is not None:
            statement = statement.where(Member.access_level >= least)
        return list(self.session.scalars(statement.order_by(oldest)))

    def namespace_seen(self, identity: Identity, path: str) -> str | None:
        """A namespace as its oldest project spells it, if the caller sees any project in it or below it."""
        statement = seen_by(identity).with_only_columns(Project.namespace_path).where(below(path))
        found = self.session.scalar(statement.order_by(Project.id).limit(1))
        return found if found is None else found[: len(path)]

    def in_namespace(self, root: str) -> bool:
        """Whether any project lies in the namespace `root` or below it."""
        return self.session.scalar(select(Project.id).where(below(root)).limit(1)) is not None

    def owns_in_namespace(self, root: str, user_id: int) -> bool:
        """Whether a user owns a project in the namespace `root` or below it."""
        mine = and_(current_membership(user_id), Member.access_level >= Role.OWNER)
        return self.session.scalar(select(Project.id).join(Member, mine).where(below(root)).limit(1)) is not None

    def add(self, project: Project) -> Project:
        """Insert a project; its path must be free."""
        self.session.add(project)
        self.session.flush()
        return project

    def delete(self, project: Project) -> None:
        """Remove a project with all that it holds; the bytes stay until the next garbage collection."""
        self.session.delete(project)
        self.session.flush()

    def next_experiment_iid(self, project_id: int) -> int:
        """Count on: the next free experiment iid of a project, 1 at first."""
        return self._count_on(_NEXT_EXPERIMENT, project_id)

    def next_candidate_iid(self, project_id: int) -> int:
        """Count on: the next free candidate iid of a project, 1 at first."""
        return self.asked_ahead(_NEXT_CANDIDATE) or self._count_on(_NEXT_CANDIDATE, project_id)

    def expect_candidate(self, project_id: int, *others: type[Base]) -> None:
        """Have the next candidate iid with the next statement, and ids for the candidate and a row of each other table;
        for whoever makes them then.
        """
        self.ask_ahead([_NEXT_CANDIDATE], _NEXT_CANDIDATE, {"project_id": project_id}, lambda rows: rows[0])
        self.reserve(Candidate, *others)

    def keep_default_experiment(self, project_id: int, experiment_id: int) -> None:
        """Say which experiment is the default one of a project."""
        statement = update(Project).where(Project.id == project_id)
        self.session.execute(statement.values(default_experiment_id=experiment_id, updated_at=Project.updated_at))

    def _count_on(self, counting: Executable, project_id: int) -> int:
        count: int = self.connection.execute(counting, {"project_id": project_id}).scalar_one()
        return count


def _counting(counter: InstrumentedAttribute[int]) -> Executable:
    # `updated_at` is named so that counting does not pass for a change of the project.
    values = {counter: counter + 1, Project.updated_at: Project.updated_at}
    return update(Project).where(Project.id == bindparam("project_id")).values(values).returning(counter)


# Built once: building a statement takes several times as long as running it.
_NEXT_EXPERIMENT = _counting(Project.last_experiment_iid)
_NEXT_CANDIDATE = _counting(Project.last_candidate_iid)


def current_membership(user_id: int | None) -> ColumnElement[bool]:
    """The condition that joins a project to the user's membership, if that has not expired."""
    return and_(Member.project_id == Project.id, Member.user_id == user_id, in_time())


def seen_by(identity: Identity) -> Select[Project]:
    """The statement form of `policy.sees`."""
    statement = select(Project).outerjoin(Member, current_membership(identity.user_id))
    if identity.job_project_id is not None:
        statement = statement.where(Project.id == identity.job_project_id)
    if identity.admin:
        return statement
    open_to = [Visibility.PUBLIC] if identity.anonymous or identity.bot else [Visibility.PUBLIC, Visibility.INTERNAL]
    return statement.where(or_(Project.visibility.in_(open_to), Member.access_level.is_not(None)))


def _narrow(statement: Select[Project], narrowed: ProjectFilter) -> Select[Project]:
    if narrowed.search:
        pattern = contains(narrowed.search)
        texts = (Project.name, Project.path_key, Project.description)
        statement = statement.where(or_(*(column.ilike(pattern, escape="\\") for column in texts)))
    if narrowed.visibility:
        statement = statement.where(Project.visibility == narrowed.visibility)
    if narrowed.membership:
        statement = statement.where(Member.access_level.is_not(None))
    if narrowed.owned:
        statement = statement.where(Member.access_level >= Role.OWNER)
    if narrowed.least_role is not None:
        statement = statement.where(Member.access_level >= narrowed.least_role)
    if narrowed.below is not None:
        statement = statement.where(below(narrowed.below))
    if narrowed.none:
        statement = statement.where(false())
    return statement.where(*between(Project.id, narrowed.ids), *between(Project.updated_at, narrowed.updated))


def below(root: str) -> ColumnElement[bool]:
    """The condition that a project lies in a namespace or below it."""
    prefix = f"{root.lower()}/"
    return Project.path_key.startswith(prefix, autoescape=True)


def _with_facts(row: Row[Project, int]) -> tuple[Project, ProjectFacts]:
    project, role = row
    return project, ProjectFacts(project.id, project.full_path, project.visibility, role)
