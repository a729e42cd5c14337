"""The generated files are what the tables say, and a C compiler agrees with them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from netmap_spec.abi import generate
from netmap_spec.abi.check import CONTROL

PATHS = sorted(generate.expected())
STEMS = [stem for _, stem in generate.VERSIONS.values()]


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.name)
def test_a_generated_file_is_fresh(path: Path) -> None:
    assert path.exists() and path.read_text(encoding="utf-8") == generate.expected()[path], (
        f"{path.name} is stale: run python -m netmap_spec.abi.generate"
    )


def test_every_generation_has_its_views_and_two_headers() -> None:
    assert {p.name for p in PATHS} == {
        name for stem in STEMS for name in (f"{stem}.py", f"abi_{stem}.h", f"abi_assert_{stem}.h")
    }


def test_a_stale_file_is_reported_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "HEADERS", tmp_path / "native" / "include" / "netmap_verify")
    (tmp_path / "native").mkdir()
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"stale: {name}" for stem in STEMS for name in (f"abi_{stem}.h", f"abi_assert_{stem}.h")
    ]
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
