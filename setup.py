"""Installs two packages from one distribution: `minigen` and `minigen_kernels` (the folder `kernels/`)."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
PACKAGES = find_packages(include=["minigen", "minigen.*"])
KERNEL_PACKAGES = find_packages("kernels", include=["minigen_kernels", "minigen_kernels.*"])
NOTEBOOKS = ["jupytext>=1.16", "nbclient>=0.10", "ipykernel>=6.29"]  # to run and to build tutorials/

setup(
    name="minigen",
    version="0.1.0",
    description="Autograd, convolution kernels and generative models from scratch, to read and to run",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    url="https://github.com/minigen/minigen",
    packages=PACKAGES + KERNEL_PACKAGES,
    package_dir={"minigen_kernels": "kernels/minigen_kernels"},
    package_data={"minigen": ["py.typed"], "minigen_kernels": ["py.typed"]},
    python_requires=">=3.11,<3.14",
    install_requires=[
        "numpy>=2.0",
        "numba>=0.61",  # the first to support NumPy 2 on Python 3.13
        "scipy>=1.13",
        "scikit-learn>=1.5",  # the embedded data sets
        "threadpoolctl>=3.5",
        "safetensors>=0.4.5",
        "matplotlib>=3.9",
        "pillow>=10.4",
        "rich>=13.7",
    ],
    extras_require={
        "cuda12": ["cupy-cuda12x>=13.3", "numba-cuda[cu12]>=0.30", "cuda-core>=1.0"],
        "cuda13": ["cupy-cuda13x>=13.6", "numba-cuda[cu13]>=0.30", "cuda-core>=1.0"],
        "test": [
            "pytest>=8.2",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "ruff>=0.6",
            "mypy>=1.11",
            "build>=1.2",
            "setuptools>=70.1",
            "numba-cuda[cu13]>=0.30; sys_platform == 'linux'",  # the compilers of the CUDA kernels; no GPU is needed
            *NOTEBOOKS,
        ],
        "tutorials": NOTEBOOKS,
        "bench": ["torch==2.13.0", "scikit-image"],
    },
    entry_points={"console_scripts": ["minigen=minigen.cli.main:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
