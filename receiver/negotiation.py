"""What an admitted peer and we agree on: presentation contexts, roles, and who we are."""

from shared.settings.sections import Dicom
from shared.sop_classes import VERIFICATION, is_storage
from shared.upper_layer.negotiation import answer_contexts, answer_roles
from shared.upper_layer.pdu import AnsweredContext, AssociateRequest
from shared.upper_layer.user_information import UserInformation


def supports(abstract_syntax: str) -> bool:
    """Whether a presentation context for this SOP class is accepted."""
    return abstract_syntax == VERIFICATION or is_storage(abstract_syntax)


def answer(
    request: AssociateRequest, dicom: Dicom
) -> tuple[tuple[AnsweredContext, ...], UserInformation]:
    """What the A-ASSOCIATE-AC says."""
    # The asynchronous operations window is not answered: synchronous (PS3.7 D.3.3.3).
    ours = UserInformation(
        implementation_class_uid=dicom.implementation_class_uid,
        implementation_version_name=dicom.implementation_version_name,
        role_selections=answer_roles(request.user_information.role_selections, supports),
    )
    return answer_contexts(request.presentation_contexts, supports), ours
