"""What is no music by its name: folders and files that programs keep beside it.

A leading dot alone hides nothing: "...Like Clockwork" is an album and ".45" a song. Names are
compared without case, since a wastebasket of a NAS may be written in any.
"""

from __future__ import annotations

# Of Windows, macOS, Android, Linux file systems, and of the makers of NAS (Synology, QNAP,
# Asustor, Netgear, TerraMaster, Buffalo).
_FOLDERS = frozenset(
    b"""lost+found|$recycle.bin|recycler|recycle.bin|system volume information|$extend|$windows.~bt
    |config.msi|__macosx|network trash folder|temporary items|thevolumesettingsfolder|lost.dir
    |#recycle|#snapshot|@recycle|@recycle_bin|@recently-snapshot|@snapshot|@snapshots|@eadir|@tmp
    |@sharebin|@sharesnap|@transcode|@database|@appstore|@appconf|@appdata|@apphome|@appshare
    |@apptemp|@docker|@iscsi|@s2s|@quarantine|@download|@trash|@recyclebin|trashbox|nas_prog
    """.replace(b"\n", b"")
    .replace(b"    ", b"")
    .split(b"|")
)
_FOLDER_BEGINNINGS = (b"@syno", b"found.0", b"$recycle.bin", b"@app_", b"@img_bkp")

# After a dot: folders of programs and of systems.
_DOT_NAMES = frozenset(
    b"""hidden|trash|trashes|trashcan|recycle|recycler|recycle.bin|recyclebin|snapshot|snapshots|zfs|lost+found
    |spotlight-v100|fseventsd|temporaryitems|temporary items|documentrevisions-v100|appledouble
    |appledb|appledesktop|apdisk|ds_store|pkinstallsandboxmanager|mobilebackups|vol|volumes
    |stfolder|stversions|stignore|sync|syncarchive|syncid|synctrash|owncloudsync|nextcloudsync
    |dropbox|dropbox.cache|dropbox-dist|tresorit|megasync|mega|rubbish|debris|rclone|duplicacy
    |cache|config|local|var|snap|share|tmp|temp|thumbnails|thumb|thumbs|thumbdata|previews
    |android_secure|face|mediaartlocal|albumart|covers|wine|steam|minecraft|mozilla|thunderbird
    |gnupg|ssh|npm|cargo|rustup|gradle|m2|java|android|vscode|vscode-server|idea|venv|tox|git
    |svn|hg|bzr|cvs|github|ecryptfs|private|beets|mpd|picard|audacity-data|ardour|musescore
    |rsync-partial|~tmp~|@__thumb|@__qini|@__desc|@recycle|@recently-snapshot|@snapshot|@upload_cache
    |qpkg|streams|syno|plex|plexmediaserver|jellyfin|kodi|minidlna|twonky|navidrome|subsonic
    |airsonic|lidarr|kobo|calibre|adobe-digital-editions|metadata|itunes preferences.plist|nv|dbus
    |gvfs|pki|kde|kde4|gnome|icons|themes|fonts|password-store|docker|kube|ansible|vim|emacs.d
    """.replace(b"\n", b"")
    .replace(b"    ", b"")
    .split(b"|")
)
_DOT_BEGINNINGS = (
    b"._",  # AppleDouble: what macOS keeps of a file where the file system cannot
    b".trash-",  # freedesktop.org, one for each user
    b".trashed-",  # Android: "delete" of a file
    b".pending-",  # Android: a file that is still being written
    b".syncthing.",
    b".sync.",
    b".dropbox.",
    b".nfs0",
    b".fuse_hidden",
    b".smbdelete",
    b".goutputstream-",
    b".unison",
    b".tmp-",
    b".tmp.",
    b".~",
    b".#",
    b".git",
    b".@",
    b".sb-",
)


def is_system_folder(name: bytes) -> bool:
    """Say whether a folder is one that systems and other programs put beside music."""
    lower = name.lower()
    return lower in _FOLDERS or lower.startswith(_FOLDER_BEGINNINGS)


def is_a_program_s(name: bytes) -> bool:
    """Say whether a name with a leading dot is known to be a program's own."""
    lower = name.lower()
    first = lower[1:].partition(b".")[0]  # ".hidden.mp3" is hidden on purpose
    return not _DOT_NAMES.isdisjoint((lower[1:], first)) or lower.startswith(_DOT_BEGINNINGS)
