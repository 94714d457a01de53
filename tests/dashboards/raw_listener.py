"""A listener without a browser: speaks the dashboard's own protocol over a websocket.

It sends what a browser would send and waits for what a browser would draw; it neither draws nor
plays. So it measures the server, and it can claim anything.
"""

import asyncio
import json
import time

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import connect


class RawListener:
    """One websocket, and what the page shows."""

    def __init__(self, address, code, page="listen"):
        self.address, self.code, self.place = address, code, page
        self.states, self.kept, self.elements = {}, {}, []
        self.seconds = []  # of each run, from the click to the last word of the server
        self.socket, self.page_hash = None, ""

    async def __aenter__(self):
        place = self.address.replace("http", "ws", 1) + "/_stcore/stream"
        self.socket = await connect(place, subprotocols=["streamlit"], max_size=None)
        await self.run()
        return self

    async def __aexit__(self, *_):
        await self.socket.close()

    async def run(self, *triggers):
        """One run of the page, with these buttons pressed."""
        message = BackMsg()
        state = message.rerun_script
        state.query_string = f"c={self.code}" if self.code else ""
        state.page_name, state.page_script_hash = self.place, self.page_hash
        state.context_info.url = f"{self.address}/{self.place}"
        state.cached_message_hashes.extend(self.kept)
        state.widget_states.widgets.extend(self.states.values())
        for trigger in triggers:
            state.widget_states.widgets.append(WidgetState(id=trigger, trigger_value=True))
        begun = time.perf_counter()
        await self.socket.send(message.SerializeToString())
        while True:
            got = ForwardMsg()
            got.ParseFromString(await asyncio.wait_for(self.socket.recv(), 60))
            if got.WhichOneof("type") == "ref_hash":
                got = self.kept[got.ref_hash]
            elif got.hash:
                self.kept[got.hash] = got
            kind = got.WhichOneof("type")
            if kind == "new_session":
                self.elements = []
                self.page_hash = got.new_session.page_script_hash
            elif kind == "navigation":
                self.page_hash = got.navigation.page_script_hash
            elif kind == "delta" and got.delta.WhichOneof("type") == "new_element":
                self.elements.append(got.delta.new_element)
            elif kind == "script_finished" and got.script_finished in (
                ForwardMsg.FINISHED_SUCCESSFULLY,
                ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
            ):
                break
        self.seconds.append(time.perf_counter() - begun)

    def of(self, kind):
        """The elements of a kind that the page shows."""
        return [
            getattr(element, kind)
            for element in self.elements
            if element.WhichOneof("type") == kind
        ]

    def words(self):
        """What it says."""
        said = [*(one.body for one in self.of("markdown")), *(one.body for one in self.of("alert"))]
        return "\n".join([*said, *(one.body for one in self.of("heading"))])

    def put(self, name, **value):
        """Answer a widget, by its id."""
        self.states[name] = WidgetState(id=name, **value)

    async def press(self, label):
        await self.run(next(one.id for one in self.of("button") if one.label == label))

    async def report(self, plays, coverage):
        """What the player says."""
        told = json.dumps({"report": {"plays": plays, "coverage": coverage}})
        self.put(self.of("bidi_component")[0].id, json_value=told)
        await self.run()

    def choose(self, answer, place=0):
        self.put(self.of("radio")[place].id, string_value=answer)

    async def begin(self):
        """Through everything before the first clip."""
        self.put(self.of("checkbox")[0].id, bool_value=True)
        await self.press("Begin")
        await self.report(1, 0.0)
        await self.press("I hear it well")
        for place, question in enumerate(self.of("radio")):
            self.choose(question.options[0], place)
        await self.press("Continue")

    async def rate(self, value, clip, think):
        """One clip, at the pace of a person: the seconds of the clip, then of thinking."""
        await self.report(1, 0.0)
        await asyncio.sleep(clip)
        await self.report(1, 0.99)
        await asyncio.sleep(think)
        self.choose(self.of("radio")[0].options[value - 1])
        await self.press("Keep this score")
        await asyncio.sleep(think)
        self.choose("Yes")
        await self.press("Next")
