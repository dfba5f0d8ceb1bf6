"""Who may do what in a PostgreSQL warehouse: three roles, the schemas they own or read, and who sees which branch.

``puntual_owner`` owns everything and runs the day, ``puntual_reader`` reads what is published and the reports, and
``puntual_bi`` reads the published tables only, of the branches that ``bi_access.branch_members`` gives it. They are
groups: nobody logs in as one of them. Everything here may run again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from puntual.errors import UsageError, WarehouseError
from puntual.warehouse.connect import Warehouse

OWNER = "puntual_owner"
READER = "puntual_reader"
BI = "puntual_bi"
ROLES = {
    OWNER: "Puntual: owns every table and runs the day",
    READER: "Puntual: reads the published tables, the KPIs, the reports and the reference tables",
    BI: "Puntual: reads the published tables of the branches in bi_access.branch_members",
}

LEAST_VERSION = 15
"""Views that look with the eyes of their reader (security_invoker) came with it."""

WORKING_SCHEMAS = (
    "raw", "control", "staging", "intermediate", "marts", "features", "ml", "decisions", "measured", "kpis",
    "reporting", "star", "reference",
)  # fmt: skip
READER_SCHEMAS = ("kpis", "reporting", "reference")
ACCESS_SCHEMA = "bi_access"
PUBLISHED_SCHEMA = "bi"

_MAY = "select rolsuper, rolcreaterole from pg_roles where rolname = current_user"

_OPEN_TO_ALL = """
select exists (
    select 1 from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as granted
    where d.datname = current_database() and granted.grantee = 0 and granted.privilege_type in ('CONNECT', 'TEMPORARY')
)
"""

_WORKS_AS_OWNER = """
select pg_has_role(l.oid, o.oid, 'member') and exists (
    select 1 from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
    where s.setrole = l.oid and d.datname = current_database() and 'role=' || o.rolname = any(s.setconfig)
), has_database_privilege(l.oid, current_database(), 'connect')
from pg_roles l, pg_roles o where l.rolname = %s and o.rolname = %s
"""

_FOREIGN = """
select c.oid::regclass::text as name, c.relkind
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any(%s) and c.relkind in ('r', 'v', 'm', 'p', 'S') and c.relowner <> %s::regrole
    -- A sequence of a column goes with its table.
    and not exists (select 1 from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass
        and c.relkind = 'S' and d.deptype in ('a', 'i'))
order by 1
"""

# SECURITY INVOKER on purpose: inside a definer's function current_user would be the owner, who sees everything. A
# member of a group sees the group's branches; a name that is no role of the server is passed over.
_ACCESS = f"""
create table if not exists {ACCESS_SCHEMA}.branch_members (
    role_name text not null,
    branch_id text not null,
    primary key (role_name, branch_id)
);
comment on table {ACCESS_SCHEMA}.branch_members is
    'Who sees which branch in the published tables. One row per role (a login or a group) and branch.';
comment on column {ACCESS_SCHEMA}.branch_members.role_name is 'Login or group, as PostgreSQL names it.';
comment on column {ACCESS_SCHEMA}.branch_members.branch_id is 'Key of the branch, or * for all of them.';

create or replace function {ACCESS_SCHEMA}.visible_branches() returns text[]
language sql stable parallel safe set search_path = pg_catalog as $$
    select coalesce(array_agg(distinct m.branch_id), array[]::text[])
    from {ACCESS_SCHEMA}.branch_members m
    join pg_catalog.pg_roles r on r.rolname = m.role_name
    where pg_catalog.pg_has_role(current_user, r.oid, 'usage')
$$;
comment on function {ACCESS_SCHEMA}.visible_branches() is 'Branches that the one who asks may see; * is all of them.';

alter table {ACCESS_SCHEMA}.branch_members enable row level security;
drop policy if exists own_rows on {ACCESS_SCHEMA}.branch_members;
create policy own_rows on {ACCESS_SCHEMA}.branch_members for select using (
    exists (
        select 1 from pg_catalog.pg_roles r
        where r.rolname = role_name and pg_catalog.pg_has_role(current_user, r.oid, 'usage')
    )
);
"""


@dataclass(frozen=True)
class Prepared:
    """What ``prepare_database`` found and did, in sentences for the person who ran it."""

    done: list[str]
    notes: list[str]


@contextmanager
def _administrator(url: str) -> Iterator[Any]:
    import psycopg2

    shown = Warehouse("postgres", url, None).safe_url
    try:
        connection = psycopg2.connect(url, application_name="puntual init-db")
    except (psycopg2.OperationalError, psycopg2.ProgrammingError) as error:
        raise WarehouseError(
            f"PostgreSQL at {shown} does not answer: {str(error).strip()}\nIs the server running, does the database "
            "exist (createdb), and may this login enter (pg_hba.conf, ~/.pgpass)?"
        ) from error
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    except psycopg2.errors.InsufficientPrivilege as error:
        raise WarehouseError(
            f"PostgreSQL at {shown} refused: {error.diag.message_primary}. Nothing was changed. Give the address of a "
            "superuser, or of a role with CREATEROLE that owns the database: puntual init-db HOME --admin-url URL"
        ) from error
    except psycopg2.Error as error:
        raise WarehouseError(f"PostgreSQL at {shown}: {str(error).strip()}. Nothing was changed.") from error
    finally:
        connection.close()


def server_version(cursor: Any) -> int:
    """The server's major version."""
    cursor.execute("show server_version_num")
    return int(cursor.fetchone()[0]) // 10_000


def prepare_database(
    warehouse: Warehouse, *, admin_url: str | None = None, password: Callable[[str], str] | None = None
) -> Prepared:
    """Make the roles, schemas and rights of a PostgreSQL warehouse; again changes nothing.

    Args:
        warehouse: where the day works; the login of its address becomes a member of ``puntual_owner``.
        admin_url: a superuser's address in the same database, or of a role with CREATEROLE that owns the database; the
            warehouse's own address when left out.
        password: asked for the password of a login that is made anew; its argument is the login's name.

    Raises:
        UsageError: the warehouse is a DuckDB file, or the two addresses name different databases.
        WarehouseError: the server does not answer, is older than 15, or the login may not create roles.
    """
    if warehouse.kind == "duckdb":
        raise UsageError(
            f"{warehouse.url} is a DuckDB file: it needs no roles and is made by the first run. init-db is for a "
            "PostgreSQL warehouse (warehouse.url: postgresql://...)."
        )
    login = warehouse.parameters["user"]
    with _administrator(admin_url or warehouse.url) as cursor:
        _check_server(cursor, warehouse)
        cursor.execute("select current_user, current_database(), session_user")
        administrator, database, session = cursor.fetchone()
        if admin_url and warehouse.parameters.get("dbname", login) != database:
            raise UsageError(
                f"--admin-url leads to the database {database}, warehouse.url to "
                f"{warehouse.parameters.get('dbname', login)}; give the address of the same database"
            )
        prepared = Prepared([], [])
        _create_roles(cursor, administrator, prepared)
        _create_login(cursor, warehouse, login, password, prepared)
        _create_schemas(cursor, database, prepared)
        _grant(cursor, login)
        _let_the_login_own(cursor, database, login, session, prepared)
    return prepared


def _check_server(cursor: Any, warehouse: Warehouse) -> None:
    version = server_version(cursor)
    if version < LEAST_VERSION:
        raise WarehouseError(
            f"PostgreSQL at {warehouse.safe_url} is version {version}; Puntual needs {LEAST_VERSION} or newer (views "
            "that respect their reader's rights). Upgrade the server; nothing was changed."
        )
    cursor.execute(_MAY)
    is_superuser, may_create_roles = cursor.fetchone()
    cursor.execute("select pg_has_role(datdba, 'usage') from pg_database where datname = current_database()")
    if not is_superuser and not (may_create_roles and cursor.fetchone()[0]):
        cursor.execute("select current_user")
        raise WarehouseError(
            f"{cursor.fetchone()[0]} may not create roles in this database. Give the address of a superuser, or of a "
            "role with CREATEROLE that owns the database: puntual init-db HOME --admin-url URL"
        )


def _exists(cursor: Any, role: str) -> bool:
    cursor.execute("select 1 from pg_roles where rolname = %s", [role])
    return cursor.fetchone() is not None


def _create_roles(cursor: Any, administrator: str, prepared: Prepared) -> None:
    for role, text in ROLES.items():
        if not _exists(cursor, role):
            cursor.execute(f"create role {role} nologin")
            prepared.done.append(f"role {role} created")
            cursor.execute(f"comment on role {role} is %s", [text])
    # An administrator that is no superuser must belong to the owner to hand objects over to it.
    cursor.execute("select pg_has_role(current_user, %s, 'usage')", [OWNER])
    if not cursor.fetchone()[0]:
        cursor.execute(f"grant {OWNER} to {_identifier(cursor, administrator)}")


def _create_login(
    cursor: Any, warehouse: Warehouse, login: str, password: Callable[[str], str] | None, prepared: Prepared
) -> None:
    if _exists(cursor, login):
        return
    secret = warehouse.parameters.get("password") or (password(login) if password else "")
    if not secret:
        raise UsageError(
            f"The login {login} of warehouse.url does not exist and has no password to be made with. Set the variable "
            "PGPASSWORD, or answer the prompt in a terminal; nothing was changed."
        )
    from psycopg2.extensions import encrypt_password

    # Hashed here: the password itself reaches neither the network nor the server's log.
    hashed = encrypt_password(secret, login, scope=cursor.connection, algorithm="scram-sha-256")
    name = _identifier(cursor, login).replace("%", "%%")  # the statement has a parameter, so the driver reads its %
    cursor.execute(f"create role {name} login password %s", [hashed])
    prepared.done.append(f"login {login} created")


def _create_schemas(cursor: Any, database: str, prepared: Prepared) -> None:
    cursor.execute("select nspname from pg_namespace")
    present = {name for (name,) in cursor.fetchall()}
    for schema in (*WORKING_SCHEMAS, ACCESS_SCHEMA):
        if schema not in present:
            prepared.done.append(f"schema {schema} created")
        cursor.execute(f"create schema if not exists {schema} authorization {OWNER}")
        cursor.execute(f"alter schema {schema} owner to {OWNER}")
    if PUBLISHED_SCHEMA in present:
        cursor.execute(f"alter schema {PUBLISHED_SCHEMA} owner to {OWNER}")
    _close_to_the_public(cursor, database, prepared)
    cursor.execute(_ACCESS)
    cursor.execute(f"alter table {ACCESS_SCHEMA}.branch_members owner to {OWNER}")
    # What a run as another login made before there were roles.
    ours = [*WORKING_SCHEMAS, *(name for name in present if is_serving(name))]
    for schema in ours:
        if is_serving(schema):
            cursor.execute(f"alter schema {schema} owner to {OWNER}")
    cursor.execute(_FOREIGN, [ours, OWNER])
    kinds = {"v": "view", "m": "materialized view", "S": "sequence"}
    foreign = cursor.fetchall()
    for name, kind in foreign:
        cursor.execute(f"alter {kinds.get(kind, 'table')} {name} owner to {OWNER}")
    cursor.execute(f"alter function {ACCESS_SCHEMA}.visible_branches() owner to {OWNER}")
    if foreign:
        prepared.done.append(f"{len(foreign)} tables and views handed over to {OWNER}")


def _close_to_the_public(cursor: Any, database: str, prepared: Prepared) -> None:
    """Only the three roles enter the database, and only the owner makes temporary tables in it."""
    name = _identifier(cursor, database)
    cursor.execute(f"grant connect, create, temporary on database {name} to {OWNER}")
    cursor.execute(f"grant connect on database {name} to {READER}, {BI}")
    cursor.execute(_OPEN_TO_ALL)
    if cursor.fetchone()[0]:
        cursor.execute(f"revoke connect, temporary on database {name} from public")
        prepared.done.append(f"database {database} closed to logins without one of the roles")


def is_serving(schema: str) -> bool:
    """Whether a schema is the published one or holds the tables of a publication."""
    return schema == PUBLISHED_SCHEMA or schema.startswith((f"{PUBLISHED_SCHEMA}_replaced_", "serving_"))


def _grant(cursor: Any, login: str) -> None:
    cursor.execute(f"grant usage on schema {ACCESS_SCHEMA} to {READER}, {BI}")
    cursor.execute(f"grant select on {ACCESS_SCHEMA}.branch_members to {READER}, {BI}")
    cursor.execute(f"grant execute on function {ACCESS_SCHEMA}.visible_branches() to {READER}, {BI}")
    makers = [OWNER, *([login] if _exists(cursor, login) else [])]
    for schema in READER_SCHEMAS:
        cursor.execute(f"grant usage on schema {schema} to {READER}")
        cursor.execute(f"grant select on all tables in schema {schema} to {READER}")
        # dbt makes its tables anew each time: what they will be granted is said beforehand.
        for maker in makers:
            cursor.execute("select pg_has_role(current_user, %s, 'usage')", [maker])
            if cursor.fetchone()[0]:
                cursor.execute(
                    f"alter default privileges for role {_identifier(cursor, maker)} in schema {schema}"
                    f" grant select on tables to {READER}"
                )


def _let_the_login_own(cursor: Any, database: str, login: str, session: str, prepared: Prepared) -> None:
    """The day's login works as ``puntual_owner`` in this database, so that what it makes belongs to that role."""
    cursor.execute("select rolsuper from pg_roles where rolname = %s", [login])
    (is_superuser,) = cursor.fetchone()
    if is_superuser:
        prepared.notes.append(
            f"warehouse.url enters as the superuser {login}. It works; a login of its own is safer: put another user "
            "into warehouse.url and run init-db again with --admin-url."
        )
        return
    name = _identifier(cursor, login)
    if login != session:
        cursor.execute(_WORKS_AS_OWNER, [login, OWNER])
        if not cursor.fetchone()[0]:
            cursor.execute(f"grant {OWNER} to {name}")
            cursor.execute(f"alter role {name} in database {_identifier(cursor, database)} set role = '{OWNER}'")
            prepared.done.append(f"{login} works as {OWNER}")
        cursor.execute(_WORKS_AS_OWNER, [login, OWNER])
        if not cursor.fetchone()[1]:  # it does not inherit (NOINHERIT), and one enters before one changes the role
            cursor.execute(f"grant connect on database {_identifier(cursor, database)} to {name}")
        return
    prepared.notes.append(
        f"warehouse.url enters as {login}, who also administers. Better a login of its own: put another user into "
        "warehouse.url and run init-db again with --admin-url."
    )


def _identifier(cursor: Any, name: str) -> str:
    from psycopg2.extensions import quote_ident

    return str(quote_ident(name, cursor.connection))


@dataclass(frozen=True)
class Served:
    """What the schema ``bi`` shows."""

    as_of_date: date
    content_name: str


# A view looks with its reader's rights (security_invoker): it opens when the tables beneath it and their schema do.
_SHUT = """
select r.rolname, count(distinct v.oid)
from pg_class v
join pg_namespace n on n.oid = v.relnamespace
cross join pg_roles r
left join pg_rewrite w on w.ev_class = v.oid
left join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
    and d.refclassid = 'pg_class'::regclass and d.refobjid <> v.oid
left join pg_class t on t.oid = d.refobjid
where n.nspname = %(schema)s and v.relkind = 'v' and r.rolname = any(%(roles)s)
    and not (has_schema_privilege(r.oid, n.oid, 'usage') and has_table_privilege(r.oid, v.oid, 'select')
        and (t.oid is null or has_schema_privilege(r.oid, t.relnamespace, 'usage')
            and has_table_privilege(r.oid, t.oid, 'select')))
group by r.rolname order by r.rolname limit 1
"""


def served_now(cursor: Any) -> Served | str:
    """What readers of ``bi`` see, after one row of each view was read and their rights were looked at; or why not."""
    import psycopg2

    cursor.execute("select to_regclass(%s) is not null", [f"{PUBLISHED_SCHEMA}.published"])
    if not cursor.fetchone()[0]:
        return "nothing is published there yet; the day's last step does it"
    cursor.execute(f"select as_of_date, content_name from {PUBLISHED_SCHEMA}.published")
    as_of_date, content_name = cursor.fetchone()
    cursor.execute("select table_name from information_schema.views where table_schema = %s", [PUBLISHED_SCHEMA])
    names = [name for (name,) in cursor.fetchall()]
    for name in names:
        try:
            cursor.execute(f"select 1 from {PUBLISHED_SCHEMA}.{name} limit 1")
        except psycopg2.Error as error:
            return f"{PUBLISHED_SCHEMA}.{name} cannot be read: {error.diag.message_primary}; run the day again"
    cursor.execute("select 1 from pg_roles where rolname = %s", [BI])
    if cursor.fetchone():
        cursor.execute(_SHUT, {"schema": PUBLISHED_SCHEMA, "roles": [BI, READER]})
        shut = cursor.fetchone()
        if shut:
            return f"{shut[0]} may not read {shut[1]} of its views: published before init-db; run the day again"
    return Served(as_of_date, content_name)
