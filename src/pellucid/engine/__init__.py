"""Engines: what carries out a training plan. They are interchangeable and agree."""
