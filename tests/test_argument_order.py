import os
import subprocess
import sys


def test_a_folder_named_twice_with_a_file_between_keeps_its_fixtures(tmp_path, request):
    (tmp_path / "core").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    fixture = "import pytest\n\n@pytest.fixture\ndef tiny(): return 1\n"
    (tmp_path / "core/conftest.py").write_text(fixture)
    for name in ("core/test_a.py", "core/test_c.py"):
        (tmp_path / name).write_text("def test_it(tiny): assert tiny == 1\n")
    (tmp_path / "test_b.py").write_text("def test_it(): pass\n")
    paths = ["core/test_a.py", "test_b.py", "core/test_c.py"]
    environment = os.environ | {
        "PYTHONPATH": str(request.config.rootpath / "tests"),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "argument_order", *paths],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "3 passed" in done.stdout, done.stdout
