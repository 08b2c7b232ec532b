"""Rules of scipy.special"""
