"""A listener without a browser, who speaks the dashboard's own protocol over a websocket.

It sends what a browser would send and waits for what a browser would draw, but neither draws nor
plays. So it can measure the server, and it can send false reports.
"""

import asyncio
import json
import time

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import connect


class RawListener:
    """One websocket, and the elements that the page shows."""

    def __init__(self, address, code, page="listen"):
        self.address, self.code, self.place = address, code, page
        self.states, self.cached, self.elements = {}, {}, []
        self.seconds = []  # of each run, from the click to the server's last message
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
        state.cached_message_hashes.extend(self.cached)
        state.widget_states.widgets.extend(self.states.values())
        for trigger in triggers:
            state.widget_states.widgets.append(WidgetState(id=trigger, trigger_value=True))
        start = time.perf_counter()
        await self.socket.send(message.SerializeToString())
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(await asyncio.wait_for(self.socket.recv(), 60))
            if answer.WhichOneof("type") == "ref_hash":
                answer = self.cached[answer.ref_hash]
            elif answer.hash:
                self.cached[answer.hash] = answer
            kind = answer.WhichOneof("type")
            if kind == "new_session":
                self.elements = []
                self.page_hash = answer.new_session.page_script_hash
            elif kind == "navigation":
                self.page_hash = answer.navigation.page_script_hash
            elif kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
                self.elements.append(answer.delta.new_element)
            elif kind == "script_finished" and answer.script_finished in (
                ForwardMsg.FINISHED_SUCCESSFULLY,
                ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
            ):
                break
        self.seconds.append(time.perf_counter() - start)

    def of(self, kind):
        """The elements of that kind that the page shows."""
        return [
            getattr(element, kind)
            for element in self.elements
            if element.WhichOneof("type") == kind
        ]

    def words(self):
        """The texts that the page shows."""
        kinds = ("markdown", "alert", "heading")
        return "\n".join(element.body for kind in kinds for element in self.of(kind))

    def put(self, name, **value):
        """Answer a widget, by its id."""
        self.states[name] = WidgetState(id=name, **value)

    async def press(self, label):
        await self.run(next(button.id for button in self.of("button") if button.label == label))

    async def report(self, plays, coverage):
        """Send a report of the player."""
        report = json.dumps({"report": {"plays": plays, "coverage": coverage}})
        self.put(self.of("bidi_component")[0].id, json_value=report)
        await self.run()

    def choose(self, answer, place=0):
        self.put(self.of("radio")[place].id, string_value=answer)

    async def begin(self):
        """Go through everything before the first clip."""
        self.put(self.of("checkbox")[0].id, bool_value=True)
        await self.press("Begin")
        await self.report(1, 0.0)
        await self.press("I hear it well")
        for place, question in enumerate(self.of("radio")):
            self.choose(question.options[0], place)
        await self.press("Continue")

    async def rate(self, value, clip, think):
        """Rate one clip as a person would: `clip` seconds to hear it, `think` before an answer."""
        await self.report(1, 0.0)
        await asyncio.sleep(clip)
        await self.report(1, 0.99)
        await asyncio.sleep(think)
        self.choose(self.of("radio")[0].options[value - 1])
        await self.press("Keep this score")
        await asyncio.sleep(think)
        self.choose("Yes")
        await self.press("Next")
