"""The session of an answer, for agents whose requests do not name it: each prompt has a `tag=NAME`, and so has the file of its session."""
import re


def newest_tag(texts):
    """The last tag of texts, newest last."""
    found = re.findall(r"tag=([\w-]+)", "\n".join(texts))
    return found[-1] if found else None


def name_sessions(world, prompts):
    """Puts the sessions' ids in the place of tags. `prompts`: each session's id, and a text that the user asked in it."""
    for session, text in prompts:
        tag = newest_tag([text])
        if tag:
            world.tags[tag] = session
    for row in world.model.served:
        row["session"] = world.tags.get(row["session"], row["session"])
