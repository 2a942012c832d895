"""Its lists: of objects, of unfinished uploads, and of their parts."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from tests.odd_s3.answers import Answers, etag_of, iso
from tests.odd_s3.oddities import Odd


class Lists(Answers):
    """Answers with lists."""

    def _list(self, query: Mapping[str, str]) -> None:
        if self._is(Odd.HTML_LISTS):
            self._answer(200, b"<!DOCTYPE html><html><body>Welcome</body></html>")
            return
        if self._is(Odd.EMPTY_LISTS):
            self._answer(200)
            return
        keys = sorted(key for key in self.server.objects if key.startswith(query.get("prefix", "")))
        after = "" if self._is(Odd.SAME_PAGE) else query.get("continuation-token", "")
        keys = [key for key in keys if key > after]
        size = 3 if self._is(Odd.SMALL_PAGES, Odd.CUT_LISTS, Odd.SAME_PAGE) else 1000
        page, more = keys[:size], len(keys) > size
        xml = "".join(map(self._listed, page))
        if more and not self._is(Odd.CUT_LISTS):
            xml += f"<NextContinuationToken>{page[-1]}</NextContinuationToken>"
        if not self._is(Odd.BARE_LISTS):
            xml += f"<KeyCount>{len(page)}</KeyCount><IsTruncated>{'true' if more else 'false'}</IsTruncated>"
        self._xml("ListBucketResult", xml)

    def _listed(self, key: str) -> str:
        body, modified = self.server.objects[key]
        named = quote(key, safe="") if self._is(Odd.ENCODED_KEYS) else key
        date = "never" if self._is(Odd.GARBLED_DATES) else iso(modified)
        parts = {"Key": named, "Size": str(len(body)), "LastModified": date, "ETag": etag_of(body)}
        dropped = {
            Odd.ENTRIES_WITHOUT_KEYS: "Key",
            Odd.NO_DATES: "LastModified",
            Odd.NO_ETAGS: "ETag",
            Odd.BARE_LISTS: "ETag",
        }
        for odd, name in dropped.items():
            if self._is(odd):
                parts.pop(name, None)
        return f"<Contents>{''.join(f'<{name}>{text}</{name}>' for name, text in parts.items())}</Contents>"

    def _list_uploads(self, query: Mapping[str, str]) -> None:
        refusals = {
            Odd.NO_UPLOADS: (501, "NotImplemented"),
            Odd.UPLOADS_NOT_ALLOWED: (405, "MethodNotAllowed"),
            Odd.UPLOADS_NOT_FOUND: (404, "NoSuchKey"),
            Odd.UPLOADS_FORBIDDEN: (403, "AccessDenied"),
        }
        for odd, refusal in refusals.items():
            if self._is(odd):
                self._refuse(*refusal)
                return
        if self._is(Odd.UPLOADS_ARE_OBJECTS):
            self._list(query)
        elif self._is(Odd.UPLOADS_ARE_HTML):
            self._answer(200, b"<html><body>Welcome<br></body></html>")
        elif self._is(Odd.UPLOADS_ARE_NOTHING):
            self._answer(200)
        else:
            entry = "<Upload><Key>{}</Key><UploadId>{}</UploadId>{}</Upload>"
            date = "never" if self._is(Odd.GARBLED_DATES) else iso(0)
            began = "" if self._is(Odd.NO_DATES) else f"<Initiated>{date}</Initiated>"
            found = ((upload.key, upload_id, began) for upload_id, upload in self.server.uploads.items())
            self._xml("ListMultipartUploadsResult", "".join(entry.format(*each) for each in found))

    def _list_parts(self, upload_id: str) -> None:
        if self._is(Odd.NO_PARTS, Odd.PARTS_NOT_FOUND):
            self._refuse(*((405, "MethodNotAllowed") if self._is(Odd.NO_PARTS) else (404, "NotFound")))
        elif upload_id not in self.server.uploads:
            self._refuse(404, "NoSuchUpload")
        else:
            entry = "<Part><PartNumber>{}</PartNumber><Size>{}</Size><LastModified>{}</LastModified></Part>"
            parts = self.server.uploads[upload_id].parts.items()
            told = (entry.format(number, len(body), iso(0)) for number, body in parts)
            self._xml("ListPartsResult", "".join(told))
