"""Compiled kernels: functions over contiguous arrays, without policy, allocation or exceptions."""
