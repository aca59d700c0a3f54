#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What holds of each timeline that libshm writes.

usage: timeline.py FILE     says what is wrong with it; status 1 if anything is
"""

import json
import sys

PHASES = set('MXistfC')
NEEDED = {'nothing', 'START', 'END', 'START and END'}
ACCESS = {'reads', 'writes', 'reads and writes'}


class Timeline:
    def __init__(self, path):
        with open(path, encoding='utf-8') as file:
            self.data = json.load(file)
        self.all = self.data['traceEvents']
        self.process = next(event['args']['name'] for event in self.all
                            if event['name'] == 'process_name')
        self.tracks = {event['tid']: event['args']['name'] for event in self.all
                       if event['name'] == 'thread_name'}
        self.events = [event for event in self.all if event['ph'] != 'M']

    def of(self, *phases, cat=None):
        return [event for event in self.events if event['ph'] in phases and
                (cat is None or event.get('cat') == cat)]

    def holds(self, buffer=None):
        return [event for event in self.of('X', cat='hold')
                if buffer is None or event['args']['buffer'] == buffer]

    def holder(self, event):
        """The track's name without the number of its lane."""
        return self.tracks[event['tid']].partition(' (')[0]


def end_of(event):
    return event['ts'] + event['dur']


def each_event_has_what_its_phase_needs(timeline):
    needs = {'X': ('ts', 'dur', 'tid', 'cat', 'args'), 'i': ('ts', 's'), 'C': ('ts', 'args'),
             's': ('ts', 'tid', 'id', 'cat'), 't': ('ts', 'tid', 'id', 'cat', 'bp'),
             'f': ('ts', 'tid', 'id', 'cat', 'bp'), 'M': ('args',)}
    for event in timeline.all:
        if event['ph'] not in needs:
            yield f'phase {event["ph"]}'
            continue
        missing = [key for key in ('name', 'pid', *needs[event['ph']]) if key not in event]
        if missing:
            yield f'{event} lacks {missing}'
        if 'tid' in event and event['tid'] not in timeline.tracks:
            yield f'{event} is on a track without a name'
        if event.get('dur', 0) < 0:
            yield f'{event} ends before it begins'


def one_process_has_them_all(timeline):
    if len({event['pid'] for event in timeline.all}) != 1:
        yield 'several processes'


def times_ascend(timeline):
    before = None
    for event in timeline.events:
        if before and event['ts'] < before['ts']:
            yield f'{event} comes after {before}'
        before = event


def nothing_overlaps_on_a_track(timeline):
    ends = {}
    for event in timeline.of('X'):
        before = ends.get(event['tid'])
        if before and end_of(before) > event['ts']:
            yield f'{event} overlaps {before}'
        ends[event['tid']] = event


def times_are_exact(timeline):
    """As nanoseconds, made of doubles by cutting off what is behind the point, as readers do."""
    for event in timeline.events:
        for key in ('ts', 'dur'):
            if key in event and event[key] * 8 != int(event[key] * 8):
                yield f'{event}: {key} is no eighth of a microsecond'


def each_flow_begins_and_ends_on_holders(timeline):
    flows = {}
    starts = {(event['tid'], event['ts'], event['args']['buffer']) for event in timeline.holds()}
    for event in timeline.of('s', 't', 'f'):
        flows.setdefault(event['id'], []).append(event)
        if (event['tid'], event['ts'], event['id']) not in starts:
            yield f'{event} is at no hold of that buffer'
    for buffer, events in flows.items():
        phases = ''.join(event['ph'] for event in events)
        if phases != 's' + 't' * (len(phases) - 2) + 'f':
            yield f'buffer {buffer} flows {phases}'
        if len({(event['name'], event['cat']) for event in events}) != 1:
            yield f'buffer {buffer} flows under several names'


def who_writes_a_buffer_has_it_alone(timeline):
    """Devices: what the program may do beside readers isn't seen."""
    holds = {}
    for event in timeline.holds():
        if event['args'].get('begin') != 'unknown' and 'access' in event['args']:
            holds.setdefault(event['args']['buffer'], []).append(event)
    for events in holds.values():
        for at, event in enumerate(events):
            for other in events[at + 1:]:
                if other['ts'] >= end_of(event):
                    break
                if timeline.holder(event) == timeline.holder(other):
                    continue
                if not apart(event, other) and 'writes' in (
                        event['args']['access'] + other['args']['access']):
                    yield f'{event} beside {other}'


def apart(one, other):
    """Other bytes of the same buffer."""
    one, other = one['args'], other['args']
    return (one['offset'] + one['bytes'] <= other['offset'] or
            other['offset'] + other['bytes'] <= one['offset'])


def words_are_known(timeline):
    for event in timeline.of('X', 'i'):
        args = event.get('args', {})
        if args.get('access', 'reads') not in ACCESS or args.get('needed', 'END') not in NEEDED:
            yield f'{event}'


def lost_records_are_told(timeline):
    lost = timeline.data['otherData']['lost']
    told = [event for event in timeline.of('i') if event['name'].endswith('records are lost')]
    if timeline.events and bool(lost) != bool(told):
        yield f'{lost} are lost, and the timeline says {told}'


CHECKS = (
    each_event_has_what_its_phase_needs,
    one_process_has_them_all,
    times_ascend,
    nothing_overlaps_on_a_track,
    times_are_exact,
    each_flow_begins_and_ends_on_holders,
    who_writes_a_buffer_has_it_alone,
    words_are_known,
    lost_records_are_told,
)


def problems(timeline):
    return [f'{check.__name__}: {problem}' for check in CHECKS for problem in check(timeline)]


def main():
    found = problems(Timeline(sys.argv[1]))
    print('\n'.join(found[:20]), end='\n' if found else '')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
