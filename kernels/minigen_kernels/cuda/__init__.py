"""CUDA kernels in Numba, and the ground they stand on. Importing this package imports nothing of Numba.

kernel       what a kernel is: a Python function, its arguments, its grid and block
intrinsics   GPU instructions that Numba lacks, each with its twin in Python
simulator    runs a kernel in Python, thread by thread, and faults where a GPU would be silently wrong
build        compiles a kernel to machine code for an architecture, and keeps it on disk
ladder       one convolution in many versions, from one thread per output to tensor cores
catalogue    the kernels whose registers, shared memory and spills are on record
resources    the command that writes that record
"""
