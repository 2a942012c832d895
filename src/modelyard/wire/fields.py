"""Forms with parameters, whose parts say of their bytes what those of an upload may say (`parts`)."""

from __future__ import annotations

from starlette.formparsers import MultiPartParser

from modelyard.wire.parts import PartDecoder, decoder_of, part_headers


class FieldParser(MultiPartParser):
    """Starlette's parser of multipart forms, which takes the encoded text of a field for its value."""

    _decoder: PartDecoder | None = None

    def on_headers_finished(self) -> None:
        """Learn how the part is encoded. Raises BadRequest as `decoder_of` does."""
        self._decoder = decoder_of(part_headers(self._current_part.item_headers))
        super().on_headers_finished()

    def on_part_end(self) -> None:
        """Keep a field's value as it was before it was encoded. Raises Undecodable."""
        if self._decoder is not None:
            self._current_part.data = bytearray(self._decoder.decode(self._current_part.data))
            self._decoder.finish()
        super().on_part_end()
