"""Give a role the password on stdin unless it has it: set_password.py ROLE set|check.

Prints a line if the password was (or, with "check", would be) another one. Run as PostgreSQL's
superuser. PostgreSQL keeps a salted hash, so that only hashing anew tells whether it is the same.
"""

import base64
import hashlib
import hmac
import os
import subprocess
import sys
import unicodedata

HASH = (
    "\\getenv role ROLE\n"
    "SELECT coalesce((SELECT rolpassword FROM pg_authid WHERE rolname = :'role'), '');\n"
)
# The server's log must not show it, not even when the statement fails.
CHANGE = (
    "\\getenv role ROLE\n\\getenv password PASSWORD\n"
    "SET log_statement = 'none'; SET log_min_error_statement = 'panic';\n"
    "SET log_min_duration_statement = -1; SET password_encryption = 'scram-sha-256';\n"
    "ALTER ROLE :\"role\" PASSWORD :'password';\n"
)


def psql(text: str, **variables: str) -> str:
    """Return what psql prints for this input; its variables come from the environment."""
    command = ["psql", "-XAtq", "--set=ON_ERROR_STOP=1", "--dbname=postgres"]
    environment = {**os.environ, **variables}
    done = subprocess.run(  # noqa: S603 - our own words
        command, input=text, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr or f"psql failed with exit code {done.returncode}")
    return done.stdout.strip()


def is_of(password: str, stored: str) -> bool:
    """Say whether a hash (SCRAM-SHA-256$count:salt$stored key:server key) is of this password."""
    scheme, _, rest = stored.partition("$")
    if scheme != "SCRAM-SHA-256":
        return False
    count, salt, keys = rest.replace("$", ":", 1).split(":", 2)
    salted = hashlib.pbkdf2_hmac(
        "sha256",
        unicodedata.normalize("NFKC", password).encode(),
        base64.b64decode(salt),
        int(count),
    )
    key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return hmac.compare_digest(base64.b64encode(key).decode(), keys.partition(":")[0])


def main() -> None:
    """Compare, and change what differs."""
    role, mode = sys.argv[1:]
    password = sys.stdin.read()
    if is_of(password, psql(HASH, ROLE=role)):
        return
    if mode == "set":
        psql(CHANGE, ROLE=role, PASSWORD=password)
    sys.stdout.write("another password\n")


main()
