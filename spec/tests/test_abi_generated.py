"""The generated files are what the tables say, and a C compiler agrees with them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from netmap_spec import abi
from netmap_spec.abi import emit_c, generate, measured
from netmap_spec.abi.check import CONTROL

PATHS = sorted(generate.expected())
ALL = [measured.stem(version) for version in generate.VERSIONS]
STEMS = [measured.stem(version) for version in generate.DECLARED]


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.name)
def test_a_generated_file_is_fresh(path: Path) -> None:
    assert path.exists() and path.read_text(encoding="utf-8") == generate.expected()[path], (
        f"{path.name} is stale: run python -m netmap_spec.abi.generate"
    )


def test_every_version_has_its_views_and_assertions_and_the_generations_their_declarations() -> None:
    assert set(generate.VERSIONS) | set(measured.SAME) == set(abi.tables())
    assert len(set(ALL)) == len(generate.VERSIONS)
    assert {p.name for p in PATHS} == {
        *(name for stem in ALL for name in (f"{stem}.py", f"abi_assert_{stem}.h")),
        *(f"abi_{stem}.h" for stem in STEMS),
    }


@pytest.mark.parametrize("twin", measured.SAME)
def test_a_version_without_files_of_its_own_is_another_one_on_every_target(twin: str) -> None:
    for target in abi.TARGETS:
        assert abi.compare(f"{twin}@{target}", f"{measured.SAME[twin]}@{target}") == []


def missing_assertions(version: str, text: str) -> list[str]:
    """What the tables have on any target and a header's text does not assert."""
    lines = set(text.splitlines())

    def has(kind: str, *words: str) -> bool:
        return any(line.startswith(f"NETMAP_VERIFY_{kind}({', '.join(words)}") for line in lines)

    found = []
    for target in abi.TARGETS:
        layout = abi.layout(version, target)
        for name, struct in layout.structs.items():
            if not has("SIZE", f"struct {name}", f"{struct.size}", f"{struct.align})"):
                found.append(f"{target}: {name}")
            for f in struct.fields:
                element, size = (f"{f.name}[0]", f.elem_size) if f.array else (f.name, f.size)
                place = (f"struct {name}", f.name, f"{f.offset}", element, f"{size}")
                if not has("FIELD", *place) and not has("PLACE", *place):
                    found.append(f"{target}: {name}.{f.name}")
        for name, value in layout.constants.items():
            if not has("VALUE", name, f"{value:#x})"):
                found.append(f"{target}: {name}")
        for name, told in layout.strings.items():
            if not has("TEXT", name, f"{len(told) + 1})"):
                found.append(f"{target}: {name}")
        for name, code in layout.ioctls[target.split("-")[0]].items():
            if not has("VALUE", name, f"{code:#x})"):
                found.append(f"{target}: {name}")
    return found


@pytest.mark.parametrize("version", generate.VERSIONS)
def test_every_member_constant_and_code_of_every_target_is_asserted(version: str) -> None:
    assert missing_assertions(version, emit_c.asserting_header(version)) == []


def test_a_line_less_is_a_missing_assertion() -> None:
    """The control: without any one of its assertions a header does not assert everything."""
    text = emit_c.asserting_header("api3-2012")
    lines = [line for line in text.splitlines() if line.startswith("NETMAP_VERIFY_")]
    assert len(lines) > len(abi.layout("api3-2012").structs["netmap_ring"].fields)
    for line in lines:
        if not line.startswith("NETMAP_VERIFY_ARRAY"):  # the member's length, beside its place
            assert missing_assertions("api3-2012", text.replace(line, "")), line


def test_a_stale_file_is_reported_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "HEADERS", tmp_path / "native" / "include" / "netmap_verify")
    (tmp_path / "native").mkdir()
    assert generate.main(["--check"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert set(told) == {f"stale: {p.name}" for p in PATHS if p.suffix == ".h"}
    assert not list(tmp_path.rglob("*.h"))
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    written = generate.HEADERS / "abi_api14.h"
    written.write_text(written.read_text() + "/* by hand */\n")
    assert generate.main(["--check"]) == 1


COMPILERS = {
    "c11": (("cc", "gcc", "clang"), ["-x", "c", "-std=c11"]),
    "c++11": (("c++", "g++", "clang++"), ["-x", "c++", "-std=c++11"]),
}


def compile_header(language: str, folder: Path, header: str, *flags: str) -> subprocess.CompletedProcess[str]:
    names, standard = COMPILERS[language]
    compiler = next((found for name in names if (found := shutil.which(name))), None)
    if compiler is None:
        pytest.skip(f"no compiler for {language}: none of {', '.join(names)} is installed")
    source = folder / "use.c"
    source.write_text(f'#include "{header}"\nint netmap_verify_nothing;\n')
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    command = [
        compiler,
        *standard,
        *warnings,
        *flags,
        "-I",
        str(folder),
        "-c",
        str(source),
        "-o",
        str(folder / "o"),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def headers(tmp_path: Path) -> Path:
    for path, text in generate.expected().items():
        if path.suffix == ".h":
            (tmp_path / path.name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("language", COMPILERS)
def test_our_header_has_the_measured_layout_here(language: str, stem: str, headers: Path) -> None:
    for flags in ([], ["-DNETMAP_VERIFY_DEVICE"]):
        done = compile_header(language, headers, f"abi_{stem}.h", *flags)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("language", COMPILERS)
def test_a_wrong_offset_does_not_compile(language: str, stem: str, headers: Path) -> None:
    path = headers / f"abi_assert_{stem}.h"
    path.write_text(CONTROL.sub(lambda m: f"{m[1]}{int(m[2]) + 4},", path.read_text()))
    done = compile_header(language, headers, f"abi_{stem}.h")
    assert done.returncode != 0 and "struct netmap_ring.cur is not at" in done.stderr


def test_a_wrong_type_of_the_right_size_does_not_compile(headers: Path) -> None:
    path = headers / "abi_api14.h"
    text = path.read_text()
    assert "NETMAP_KERNEL_WORD int64_t buf_ofs;" in text
    path.write_text(
        text.replace("NETMAP_KERNEL_WORD int64_t buf_ofs;", "NETMAP_KERNEL_WORD uint64_t buf_ofs;")
    )
    done = compile_header("c11", headers, "abi_api14.h")
    assert done.returncode != 0 and "buf_ofs is not a int64_t" in done.stderr


def test_our_header_refuses_to_meet_netmaps_own(headers: Path) -> None:
    done = compile_header("c11", headers, "abi_api14.h", "-D_NET_NETMAP_H_")
    assert done.returncode != 0 and "include one of the two" in done.stderr
