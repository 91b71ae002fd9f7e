"""The rules of a lane as data: what each lane type asks for, what a finding weighs, what enrolments mean."""
