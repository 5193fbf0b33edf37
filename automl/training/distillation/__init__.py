"""Distillation: a network learns from the answers of another one."""
