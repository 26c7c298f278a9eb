"""Restoring whole images: `tiles` lets a network see any size, and `classical` is what it is measured against."""
