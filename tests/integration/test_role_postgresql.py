"""The owner, the database and the extensions, as the role makes them on a real PostgreSQL."""

import re
import sys

import psycopg2
import pytest
import yaml

from backend_worker.storage.connection import connect
from tests.support import ansible
from tests.support.nap_worker import ROOT

OWNER = "pi's worker"
DATABASE = 'the "library"'
PASSWORD = "ﬁrst 'secret' \\ of \"many\""


@pytest.fixture(scope="module", autouse=True)
def _ansible():
    ansible.needed()


@pytest.fixture
def superuser(servers):
    """A connection of PostgreSQL's superuser; afterwards nothing of the test is there."""
    connection = connect()
    connection.autocommit = True
    yield connection
    with connection.cursor() as cursor:
        cursor.execute('DROP DATABASE IF EXISTS "the ""library"""')
        cursor.execute('DROP ROLE IF EXISTS "pi\'s worker"')
    connection.close()


@pytest.fixture
def make(tmp_path, superuser):
    """Runs the role's tasks for the database, one time after the other; returns what changed."""

    def run(*passwords, check=False):
        hosts = {f"time{i}": {"postgresql_password": one} for i, one in enumerate(passwords)}
        inventory = {
            "all": {
                "vars": {
                    "ansible_python_interpreter": sys.executable,
                    "postgresql_database": DATABASE,
                    "postgresql_owner": OWNER,
                },
                "hosts": hosts,
            }
        }
        task = {
            "name": "Make the database",
            "ansible.builtin.include_role": {"name": "postgresql", "tasks_from": "database"},
        }
        play = {
            "name": "Make it",
            "hosts": "all",
            "connection": "local",
            "gather_facts": False,
            "serial": 1,
            "tasks": [task],
        }
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
        (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
        command = ["ansible-playbook", "-i", "hosts.yml", "play.yml"]
        code, said = ansible.run(
            command + ["--check"] * check,
            tmp_path,
            ANSIBLE_ROLES_PATH=ROOT / "roles",
            PGHOST=superuser.info.host,
            PGUSER=superuser.info.user,
        )
        assert code == 0, said
        assert PASSWORD not in said
        return [int(re.search(rf"{host} : ok=\d+ changed=(\d+)", said)[1]) for host in hosts]

    return run


def look(connection, query, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()


def test_it_makes_what_is_missing_and_then_nothing(make, superuser):
    assert make("", check=True) == [1]
    assert look(superuser, "SELECT FROM pg_database WHERE datname = %s", DATABASE) == []
    assert make("", "") == [2, 0]
    assert make("", check=True) == [0]
    assert look(superuser, RIGHTS, OWNER) == [(True, False, False, False)]
    assert look(
        superuser,
        "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype"
        " FROM pg_database WHERE datname = %s",
        DATABASE,
    ) == [(OWNER, "UTF8", "C.UTF-8", "C.UTF-8")]
    info = superuser.info
    own = psycopg2.connect(host=info.host, user=info.user, dbname=DATABASE)
    assert {"unaccent", "pg_trgm", "vector"} <= {
        name for (name,) in look(own, "SELECT extname FROM pg_extension")
    }
    own.close()


RIGHTS = "SELECT rolcanlogin, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = %s"


def test_an_owner_that_is_there_keeps_its_rights_and_gets_the_database(make, superuser):
    with superuser.cursor() as cursor:
        cursor.execute('CREATE ROLE "pi\'s worker" LOGIN CREATEDB')
        cursor.execute('CREATE DATABASE "the ""library"""')
    assert make("", "") == [2, 0]
    assert look(superuser, RIGHTS, OWNER) == [(True, False, True, False)]
    assert look(
        superuser, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", DATABASE
    ) == [(OWNER,)]


def test_the_owner_gets_in_with_the_password_and_it_is_set_once(make, superuser, servers):
    assert make("", "another", PASSWORD, PASSWORD) == [2, 1, 1, 0]
    assert make("another", check=True) == [1]
    rules = servers.postgres.data / "pg_hba.conf"
    before = rules.read_text()
    try:
        rules.write_text(f'local all "{OWNER}" scram-sha-256\n{before}')
        look(superuser, "SELECT pg_reload_conf()")
        host = superuser.info.host
        psycopg2.connect(host=host, user=OWNER, password=PASSWORD, dbname=DATABASE).close()
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(host=host, user=OWNER, password="another", dbname=DATABASE)
    finally:
        rules.write_text(before)
        look(superuser, "SELECT pg_reload_conf()")
