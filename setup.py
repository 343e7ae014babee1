"""Which packages are installed; everything else about the project is in pyproject.toml.

pyproject.toml can either find packages or name the folder of one that lies elsewhere, not both,
and the models' folder is at the top of the repository, where people look for it.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["t2sql_tui*", "benchmarks*", "trainer*"]),
        "t2sql_tui.models",
    ],
    package_dir={"t2sql_tui.models": "models"},
)
