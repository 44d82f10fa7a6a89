"""The tags of a file, of which one may have several: which is trusted before which.

One rule for all formats: each field comes from the first tag in this order that has it.

1. the format's own: Vorbis comments, MP4's and ASF's atoms, APEv2 where it is the format's own,
   ID3v2 in a chunk of WAV, AIFF or DSD
2. ID3v2 before the audio, one after the other, then one at the end of the file
3. APEv2 at the end of the file
4. texts in chunks of WAV (LIST INFO) and AIFF
5. ID3v1, which cuts its texts after 30 characters
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from mutagen.apev2 import APEv2
from mutagen.id3 import ID3

from backend_worker.library.tags.fields import fields_of
from backend_worker.library.tags.id3 import ID3_OPTIONS
from backend_worker.library.tags.id3v1 import id3v1_slots
from backend_worker.library.tags.plain_id3 import PlainID3, plain_id3
from backend_worker.library.tags.slots import slots_of
from backend_worker.library.tags.texts import decoded

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

    from mutagen import Tags

    from backend_worker.library.tags.slots import Slots

# Fields that go with another: of no use from another tag than that.
_BELONGS_TO = (("artist_credit", "artists"),)


def read_id3(tag: bytes) -> PlainID3 | Tags:
    """Return what an ID3v2 tag holds.

    Raises:
        Exception: whatever mutagen raises where it is damaged.
    """
    return plain_id3(tag) or ID3(io.BytesIO(tag), **ID3_OPTIONS)


def read_ape(file: BinaryIO) -> Tags:
    """Return what the APEv2 tag at the end of a file holds.

    Raises:
        Exception: whatever mutagen raises where it is damaged.
    """
    file.seek(0)
    return APEv2(file)


def merged_fields(
    tags: Iterable[Any], native: Slots | None = None, id3v1: bytes = b""
) -> dict[str, Any]:
    """Return the fields of a ``TrackRecord`` that the tags of one file tell together.

    Args:
        tags: in the order of trust.
        native: texts of the format itself, beside its tags.
        id3v1: an ID3v1 tag of 128 bytes.
    """
    fields: dict[str, Any] = {}
    sources = [slots_of(each) for each in tags]
    if native:
        sources.append(native)
    if id3v1:
        sources.append(decoded(id3v1_slots(id3v1)))
    for slots in sources:
        found = fields_of(slots)
        if not fields:
            fields = found
            continue
        for field, other in _BELONGS_TO:
            if fields.get(other):
                found.pop(field, None)
        # False says no more than nothing; 0 is a gain
        fields = found | {
            name: value for name, value in fields.items() if value is not False and value != []
        }
    return fields
