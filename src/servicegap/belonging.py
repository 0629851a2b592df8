"""Whether a database outside the study's folder holds this study, and not another one."""

from __future__ import annotations

import secrets
from pathlib import Path

from servicegap.errors import StudyError
from servicegap.store import Store, read_meta, write_meta

#: The file in the study's folder by which the study is known in a database elsewhere.
ID_FILE = ".study-id"


def claim(folder: Path, store: Store) -> None:
    """See that the database is of the study in `folder`; note so in both where it is new.

    Raises
    ------
    StudyError
        If another study is in it.
    """
    path = folder / ID_FILE
    own = path.read_text(encoding="utf-8").strip() if path.is_file() else secrets.token_hex(8)
    with store.writing() as connection:
        found = read_meta(connection, "study")
        if found is None:
            path.write_text(f"{own}\n", encoding="utf-8")
            write_meta(connection, "study", own)
        elif found != own:
            raise StudyError(
                f"{store.place}: holds another study than {folder}; give each a database of its own "
                "(`database:` in study.yaml, or SERVICEGAP_DATABASE); if this is a copy of the other's "
                f"folder, copy its {ID_FILE} too"
            )
