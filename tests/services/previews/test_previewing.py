"""What is shown of files: as their formats have it, and for files that lie, why not; out of few of their bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from modelyard.services.previews import previewing, tensors
from modelyard.services.previews.gguf import MAX_ENTRIES, MAX_ITEMS, MAX_TENSORS
from modelyard.services.previews.kinds import Kind, kind_of, shown_type
from modelyard.services.previews.mlmodel import Column, MLmodel
from modelyard.services.previews.previewing import Preview, preview_of
from modelyard.services.previews.source import HEADER_BYTES, READ_BYTES
from modelyard.services.previews.tensors import Tensor, Tensors
from modelyard.services.previews.texts import Notebook, Output, Table, Text

MIB = 1024**2


@dataclass
class Bytes:
    """A file whose first bytes are given, and that has as many zeros behind them as it takes."""

    content: bytes
    size: int = -1
    reads: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size = len(self.content) if self.size < 0 else self.size

    def read(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        length = max(min(length, self.size - offset), 0)
        return self.content[offset : offset + length].ljust(length, b"\0")


def shown(content: bytes, name: str, size: int = -1) -> Preview:
    return preview_of(Bytes(content, size), name)


def safetensors(header: object, *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


def tensor(begin: int, end: int, shape: list[int], dtype: str = "F16") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def gguf(entries: list[bytes], infos: list[bytes], *, version: int = 3, counts: tuple[int, int] | None = None) -> bytes:
    tensors_there, entries_there = counts or (len(infos), len(entries))
    return b"GGUF" + struct.pack("<IQQ", version, tensors_there, entries_there) + b"".join(entries + infos)


def info(name: bytes, shape: list[int], kind: int = 1) -> bytes:
    return string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, 0)


def npy(header: str, version: int = 1) -> bytes:
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode()


def test_the_header_of_safetensors_is_told_in_numbers_and_tensors() -> None:
    header = {
        "__metadata__": {"format": "pt", "long": "x" * 1000},
        "a.weight": tensor(0, 24, [3, 4]),
        "b": tensor(24, 28, [], "F32"),
        "c": tensor(28, 28, [0, 7], "I64"),
    }
    found = shown(safetensors(header) + bytes(28), "m.safetensors").found
    assert isinstance(found, Tensors)
    assert (found.count, found.parameters, dict(found.by_type)) == (3, 13, {"F16": 12, "F32": 1, "I64": 0})
    assert found.shown[0] == Tensor("a.weight", "F16", (3, 4), 24)
    assert found.metadata == {"format": "pt", "long": "x" * 300 + "…"}
    empty = shown(safetensors({}), "x.safetensors").found
    assert isinstance(empty, Tensors)
    assert empty.count == 0


def test_a_large_header_is_read_in_few_ranges_and_never_whole() -> None:
    count = 60_000
    header = {f"model.layers.{n}.self_attn.q_proj.weight": tensor(8 * n, 8 * n + 8, [2, 2]) for n in range(count)}
    source = Bytes(safetensors(header), 50_000_000_000)
    found = preview_of(source, "big.safetensors").found
    assert isinstance(found, Tensors)
    assert (found.count, found.parameters, len(found.shown)) == (count, 4 * count, tensors.MAX_SHOWN)
    assert max(length for _, length in source.reads) <= READ_BYTES
    assert len(source.reads) <= len(source.content) // READ_BYTES + 3


@pytest.mark.parametrize(
    ("content", "size", "sentence"),
    [
        (b"", -1, "too short"),
        (b"\1\0\0", -1, "too short"),
        (safetensors({}, length=2**63), -1, "larger than 100 MB"),
        (safetensors({}, length=HEADER_BYTES + 1), 10**12, "larger than 100 MB"),
        (safetensors({}, length=3), -1, "more than the file has"),
        (safetensors(b'{"a"'), -1, "ends too early"),
        (safetensors(b'{"a":1}'), -1, "no tensor"),
        (safetensors(b"[1]"), -1, "no JSON"),
        (safetensors(b'{"a":{} "b":{}}'), -1, "no type"),
        (safetensors(b"{1:{}}"), -1, "no JSON"),
        (safetensors(b'{"\xff":{}}'), -1, "no UTF-8"),
        (safetensors(b'{"a":' + b"[" * 100_000), -1, "nested too deeply"),
        (safetensors(b'{"a":"' + b"x" * 6_000_000), -1, "no JSON"),
        (safetensors(b'{"a":' + b"9" * 10_000 + b"}"), -1, "no JSON"),
        (safetensors({"a": tensor(0, 8, [2, 2])}), -1, "not in the file"),
        (safetensors({"a": tensor(8, 0, [2, 2])}), 10**6, "not in the file"),
        (safetensors({"a": tensor(0, 8, [3, 2])}), 10**6, "does not fit"),
        (safetensors({"a": tensor(0, 8, [2**62] * 60, "NEW")}), 10**6, "cannot be"),
        (safetensors({"a": tensor(0, 8, [1] * 65)}), 10**6, "not in the file"),
        (safetensors({"a": tensor(0, 8, [-1, -4])}), 10**6, "no type, shape and place"),
        (safetensors({"a": tensor(0, 8, [True, 4])}), 10**6, "no type, shape and place"),
        (safetensors({"a": {"dtype": "F16"}}), -1, "no type, shape and place"),
    ],
)
def test_a_safetensors_file_that_lies_is_told_so(content: bytes, size: int, sentence: str) -> None:
    found = shown(content, "x.safetensors", size)
    assert (found.found, sentence in found.fault) == (None, True), found


def test_gguf_is_told_with_its_metadata_and_tensors() -> None:
    entries = [
        string(b"general.architecture") + struct.pack("<I", 8) + string(b"llama"),
        string(b"general.alignment") + struct.pack("<II", 4, 32),
        string(b"rope") + struct.pack("<If", 6, 0.5),
        string(b"tokens") + struct.pack("<IIQ", 9, 8, 3) + string(b"a") + string(b"b" * 2000) + string(b"c"),
        string(b"scores") + struct.pack("<IIQ", 9, 6, 500_000) + bytes(2_000_000),
        string(b"nested") + struct.pack("<IIQIQ", 9, 9, 1, 0, 2) + bytes(2),
        string(b"template") + struct.pack("<I", 8) + string(b"t" * 3_000_000),
    ]
    source = Bytes(gguf(entries, [info(b"output", [4096, 32000]), info(b"q", [256], 12), info(b"new", [2], 999)]))
    found = preview_of(source, "model.GGUF").found
    assert isinstance(found, Tensors)
    assert found.metadata["general.architecture"] == "llama"
    assert found.metadata["general.alignment"] == "32"
    assert [found.metadata[key] for key in ("tokens", "scores", "nested")] == ["3 items", "500000 items", "1 item"]
    assert len(found.metadata["template"]) == 301
    assert [(each.name, each.dtype) for each in found.shown] == [("output", "F16"), ("q", "Q4_K"), ("new", "type 999")]
    assert found.parameters == 4096 * 32000 + 256 + 2
    assert len(source.reads) <= 7


@pytest.mark.parametrize(
    ("content", "size", "sentence"),
    [
        (b"GG", -1, "more than the file has"),
        (b"GGML" + bytes(20), -1, "no GGUF"),
        (gguf([], [], version=1), -1, "version"),
        (gguf([], [], version=0x03000000), -1, "version"),
        (gguf([], [], counts=(1, 0)), -1, "more than the file has"),
        (gguf([], [], counts=(MAX_TENSORS + 1, 0)), 10**12, "counts more"),
        (gguf([], [], counts=(0, MAX_ENTRIES + 1)), 10**12, "counts more"),
        (gguf([string(b"k") + struct.pack("<I", 99)], []), -1, "type that is not known"),
        (gguf([struct.pack("<Q", 2**40)], []), 2**50, "too long"),
        (gguf([string(b"k") + struct.pack("<IQ", 8, 2**62)], []), -1, "more than the file has"),
        (gguf([string(b"k") + struct.pack("<IQ", 8, 2**30)], []), 2**40, "larger than 100 MB"),
        (gguf([string(b"k") + struct.pack("<IIQ", 9, 8, MAX_ITEMS + 1)], []), 2**40, "too long"),
        (gguf([string(b"k") + struct.pack("<IIQ", 9, 0, 2**62)], []), 2**40, "more than the file has"),
        (gguf([string(b"k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9], []), 2**20, "not known"),
        (gguf([], [string(b"t") + struct.pack("<I", 2**31)]), 10**6, "cannot be"),
        (gguf([], [info(b"t", [2**63, 2**63])]), 10**6, "cannot be"),
    ],
)
def test_a_gguf_file_that_lies_is_told_so(content: bytes, size: int, sentence: str) -> None:
    found = shown(content, "x.gguf", size)
    assert (found.found, sentence in found.fault) == (None, True), found


@pytest.mark.parametrize("version", [1, 2, 3])
def test_numpy_s_header_is_read_and_never_run(version: int) -> None:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }          \n"
    assert shown(npy(header, version) + bytes(48), "x.npy").found == Tensor("", "<f4", (3, 4), 48)
    scalar = npy("{'descr': [('a', '<i8')], 'fortran_order': True, 'shape': ()}\n")
    assert shown(scalar, "x.npy").found == Tensor("", "[('a', '<i8')]", (), 0)
    for broken in (
        "{'descr': '<f4', 'fortran_order': False, 'shape': __import__('os').getcwd()}",
        "(" * 5000,
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1," * 80 + ")}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 40 + ",)}",
    ):
        assert shown(npy(broken, version), "x.npy").fault, broken
    assert "larger than" in shown(npy("x" * 20_000, version), "x.npy").fault
    assert shown(b"\x93NUMPY\x09\0" + bytes(20), "x.npy").fault == "The file is none of numpy's."
    assert shown(b"", "x.npy").fault


def test_a_table_is_its_first_hundred_rows() -> None:
    found = shown(b'a,b\n1,"x\n,y"\n2\n', "t.csv").found
    assert found == Table(["a", "b"], [["1", "x\n,y"], ["2", ""]], whole=True)
    tabs = shown("ä\tb\r\n1\t2\r\n".encode(), "t.tsv").found
    assert tabs == Table(["ä", "b"], [["1", "2"]], whole=True)
    many = shown(b"n\n" + b"".join(b"%d\n" % n for n in range(100_000)), "t.csv").found
    assert isinstance(many, Table)
    assert (len(many.rows), many.whole) == (100, False)
    wide = shown(",".join("x" * 500 for _ in range(300)).encode(), "t.csv").found
    assert isinstance(wide, Table)
    assert (len(wide.header), len(wide.header[0]), wide.whole) == (100, 300, False)
    assert shown(b"", "t.csv").found == Table([], [], whole=True)
    broken = shown(b'a\n"' + b"x" * 150_000 + b'"\n', "t.csv")
    assert broken.fault.startswith("The table cannot be read")
    assert isinstance(broken.found, Text)


def test_texts_are_their_beginning() -> None:
    assert shown("héllo".encode(), "x.py").found == Text("héllo", whole=True)
    assert shown("\ufeffhéllo".encode(), "x.txt").found == Text("héllo", whole=True)
    assert shown("héllo".encode("utf-16"), "x.txt").found == Text("héllo", whole=True)
    long = shown(b"x" * 300_000, "x.log").found
    assert isinstance(long, Text)
    assert (len(long.text), long.whole) == (200_000, False)
    assert shown(b"\xffabc", "x.txt").found == Text("\ufffdabc", whole=True)
    assert shown(b"a\0b", "x.txt").fault == "The file is no text."
    assert shown(b"plain", "LICENSE") == Preview(Kind.TEXT, Text("plain", whole=True))
    assert shown("ü".encode() * 5000, "NAMES").kind is Kind.TEXT
    for content in (b"\x80\x02pickle\xff", b"PK\3\4\0\0", b"\xff" * 5000):
        assert shown(content, "weights").kind is Kind.BINARY
    assert shown(b"\x80\x02", "model.pkl") == Preview(Kind.BINARY)


def test_json_gets_lines_and_what_is_none_is_shown_as_text() -> None:
    assert shown(b'{"a":[1,"\xc3\xa4"]}', "x.json").found == Text('{\n  "a": [\n    1,\n    "ä"\n  ]\n}', whole=True)
    written = '{\n "a": 1.0,\n "b": 2\n}'
    assert shown(written.encode(), "x.json").found == Text(written, whole=True)
    for content in (b"{", b"", b"[" * 100_000, b"1" * 10_000):
        found = shown(content, "x.json")
        assert found.fault, content
        assert isinstance(found.found, Text)


def test_a_notebook_is_its_cells_and_what_they_printed() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# A\n", "b"]},
        {
            "cell_type": "code",
            "source": "print(1)",
            "outputs": [
                {"output_type": "stream", "text": ["1\n"]},
                {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo=\n", "text/plain": "<Figure>"}},
                {"output_type": "display_data", "data": {"image/png": 'x" onerror=1', "text/plain": ["fallback"]}},
                {"output_type": "execute_result", "data": {"text/html": "<script>1</script>"}},
                {"output_type": "error", "traceback": ["boom"]},
                7,
            ],
        },
        "no cell",
    ]
    told = {"nbformat": 4, "metadata": {"language_info": {"name": "python"}}, "cells": cells}
    found = shown(json.dumps(told).encode(), "n.ipynb").found
    assert isinstance(found, Notebook)
    assert [(each.kind, each.text) for each in found.cells] == [("markdown", "# A\nb"), ("code", "print(1)")]
    picture = Output(picture="data:image/png;base64,iVBORw0KGgo=")
    assert found.cells[1].outputs == [Output("1\n"), picture, Output("fallback"), Output("boom")]
    for content in (b"[]", b"{}", b'{"cells": 1}', b"no json"):
        assert shown(content, "n.ipynb").fault
    assert "5 MB" in shown(b"{}", "n.ipynb", 6_000_000).fault


MLMODEL = """
artifact_path: model
model_uuid: 1f
utc_time_created: '2026-11-30 00:00:00'
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.2}
  sklearn: {code: null}
signature:
  inputs: '[{"type": "double", "name": "x<1>", "required": false}, {"type": "tensor",
    "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]'
  outputs: '[{"type": "long"}]'
  params: '[{"name": "p", "type": "float", "default": 0.5}]'
"""


def test_an_mlmodel_is_its_facts_flavors_and_signature() -> None:
    found = shown(MLMODEL.encode(), "model/MLmodel").found
    assert isinstance(found, MLmodel)
    assert found.facts == {"artifact_path": "model", "model_uuid": "1f", "utc_time_created": "2026-11-30 00:00:00"}
    assert found.flavors == {
        "python_function": {"loader_module": "mlflow.sklearn", "python_version": "3.11.2"},
        "sklearn": {},
    }
    nothing = shown(b"signature: {inputs: null}", "MLmodel").found
    assert isinstance(nothing, MLmodel)
    assert nothing.signature == {}
    assert found.signature == {
        "inputs": [Column("x<1>", "double", "optional"), Column("", "float32", "shape [-1, 3]")],
        "outputs": [Column("", "long")],
        "params": [Column("p", "float", "default 0.5")],
    }


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']",
        "a: !!python/name:os.system x",
        "a: &a [x]\nb: [*a, *a]",
        "- list",
        "plain",
        "[" * 20_000,
        "[" * 63_000,
        "{a: " * 10_000,
        "a: [",
        "flavors: {}\nsignature: {inputs: '['}",
        "d: 2026-99-99",
        "x: " + "y" * 70_000,
    ],
)
def test_yaml_makes_nothing_but_plain_values(text: str) -> None:
    found = shown(text.encode(), "MLmodel")
    assert found.fault
    assert isinstance(found.found, Text)


@pytest.mark.parametrize(("depth", "said"), [(50, ""), (20_000, "The file is no YAML of plain values.")])
def test_yaml_that_is_deep_is_read_as_far_as_that_costs_little(depth: int, said: str) -> None:
    text = f"a: {'[' * depth}{']' * depth}\nb: [[x], [y]]"
    assert shown(text.encode(), "MLmodel").fault == said


def test_media_are_the_browser_s_and_large_ones_nobody_s() -> None:
    for name, kind in (
        ("a.png", "image"),
        ("a.mp4", "video"),
        ("a.wav", "audio"),
        ("a.pdf", "pdf"),
        ("a.html", "page"),
    ):
        assert shown(b"x", name) == Preview(Kind(kind))
    assert "larger than 50 MiB" in shown(b"x", "a.png", 51 * MIB).fault
    assert shown(b"x", "a.mp4", 51 * MIB) == Preview(Kind.VIDEO)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.png", "image/png"),
        ("A.SVG", "image/svg+xml"),
        ("r.html", "text/html; charset=utf-8"),
        ("x.pdf", "application/pdf"),
        ("x.xml", "text/plain; charset=utf-8"),
        ("x.xhtml", "text/plain; charset=utf-8"),
        ("x.js", "text/plain; charset=utf-8"),
        ("MLmodel", "text/plain; charset=utf-8"),
        ("x.pkl", None),
        ("x.html.gz", None),
        ("png", None),
        (".png", None),
        ("x.mhtml", None),
        ("x.swf", None),
    ],
)
def test_only_listed_types_are_shown_in_place(name: str, kind: str | None) -> None:
    assert shown_type(name) == kind
    assert shown_type(f"deep.html/{name}") == kind


def test_every_kind_has_a_way_to_be_shown() -> None:
    readers: dict[Kind, Callable[..., object]] = dict(previewing._READERS)
    assert set(Kind) - set(readers) == {
        Kind.IMAGE, Kind.AUDIO, Kind.VIDEO, Kind.PAGE, Kind.PDF, Kind.BINARY,
    }  # fmt: skip
    assert kind_of("weights.bin") is None


def test_a_file_that_is_shorter_than_it_says_is_told_so() -> None:
    cut = Bytes(gguf([], []))
    cut.read = lambda offset, length: cut.content[offset:20][:length]  # type: ignore[method-assign]
    assert preview_of(cut, "a.gguf").fault == "The file ends within its header."


def test_json_that_is_longer_than_is_shown_is_its_beginning() -> None:
    found = shown(b"[" + b"1," * 200_000 + b"1]", "a.json").found
    assert isinstance(found, Text)
    assert not found.whole
    assert found.text.startswith("[1,1,")
