"""Connect to a Podman container with pipelining: one ``podman exec`` a task instead of five.

The collection's plugin copies every module into the container first. Under emulation, where each
of its commands costs a second, that is most of the time that a scenario takes.
"""

from __future__ import annotations

from ansible_collections.containers.podman.plugins.connection import podman

DOCUMENTATION = """
name: podman_pipelining
author: the authors of backend-worker
short_description: Podman containers, with pipelining
description:
  - The plugin containers.podman.podman, which sends modules through standard input if it may.
options:
  remote_addr:
    description: Name of the container.
    default: inventory_hostname
    vars:
      - name: ansible_host
      - name: inventory_hostname
  remote_user:
    description: User inside the container.
    vars:
      - name: ansible_user
  podman_extra_args:
    description: Global options of podman.
    default: ""
    vars:
      - name: ansible_podman_extra_args
  podman_executable:
    description: The program.
    default: podman
    vars:
      - name: ansible_podman_executable
extends_documentation_fragment:
  - connection_pipelining
"""


class Connection(podman.Connection):
    """The collection's connection; its commands get a standard input, which pipelining needs."""

    transport = "podman_pipelining"
    has_pipelining = True

    def _connect(self) -> None:
        # The collection's would mount the container's files, for each task, whether or not one
        # is copied.
        self._connected = True

    def _podman(self, cmd, cmd_args=None, in_data=None, use_container_id=True):
        if in_data is not None and isinstance(cmd, list) and cmd[0] == "exec":
            cmd = ["exec", "--interactive", *cmd[1:]]
        return super()._podman(cmd, cmd_args, in_data, use_container_id)

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file into the container."""
        super()._connect()
        super().put_file(in_path, out_path)

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file out of the container."""
        super()._connect()
        super().fetch_file(in_path, out_path)
