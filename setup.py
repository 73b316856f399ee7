"""The one native extension; everything else about the build is in pyproject.toml.

RELAY_NATIVE_DEBUG=1 builds it with the address and undefined-behaviour sanitizers
and with Cython's own bounds checks on (make debug).
"""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("RELAY_NATIVE_DEBUG") == "1"
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]

setup(
    ext_modules=cythonize(
        [
            Extension(
                "relay._fastpath",
                ["relay/_fastpath.pyx"],
                extra_compile_args=["-O1", "-g", *SANITIZE] if DEBUG else ["-O3", "-g0"],
                extra_link_args=SANITIZE if DEBUG else [],
            )
        ],
        language_level=3,
        compiler_directives={"boundscheck": DEBUG, "wraparound": False, "embedsignature": True},
    )
)
